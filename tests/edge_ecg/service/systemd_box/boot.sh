#!/bin/bash
# Starts a systemd of its own in namespaces of its own (process ids, mounts, network, host name, cgroups).
# It can write nothing of this machine but the folder $1: the root is read-only for it, and all that programs
# write to (/tmp, /run, /var/..., /home) is an empty memory disk. Of systemd's units it sees a handful.
# Call it by: unshare --pid --mount --uts --ipc --net --cgroup --fork --mount-proc --kill-child=KILL boot.sh OUT
set -eu
out=$1
units=/usr/lib/systemd/system

mount --make-rprivate /
mount --bind "$out" "$out"
mount -o remount,bind,ro /
for folder in /run /var/tmp /var/log /var/lib/systemd /home /mnt /dev/shm; do
    mount -t tmpfs tmpfs "$folder"
done
mkdir -p /mnt/up /mnt/work /mnt/units /mnt/tmp
chmod 755 /run /home
chmod 1777 /mnt/tmp /var/tmp

for unit in basic sysinit multi-user shutdown umount final sockets timers paths slices local-fs local-fs-pre \
    swap network network-online exit; do
    [ ! -e $units/$unit.target ] || cp -L $units/$unit.target /mnt/units/
done
for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket systemd-exit.service; do
    cp -L $units/$unit /mnt/units/
done
mount --bind /mnt/units $units
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work /etc
rm -rf /etc/systemd/system/*

umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -o remount,bind,ro /dev
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys

cat >/etc/systemd/system/payload.service <<END
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket
After=systemd-journald.service
[Service]
Type=oneshot
TimeoutStartSec=600
ExecStart=/bin/bash $out/payload.sh $out
StandardOutput=file:$out/payload.log
StandardError=inherit
ExecStopPost=/bin/kill -s RTMIN+13 1
END
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../payload.service /etc/systemd/system/multi-user.target.wants/
# The last thing: what is below /tmp may be what this script was started from.
case $out in
/tmp/*) mkdir -p "/mnt/tmp${out#/tmp}" && mount --bind "$out" "/mnt/tmp${out#/tmp}" ;;
esac
mount --rbind /mnt/tmp /tmp
exec env -i container=edge-ecg-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=no --log-target=null
