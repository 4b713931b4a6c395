#!/bin/bash
# What is done in the box, as a user and root would; each result is one line `NAME: ...` for the test.
# $1 is the folder with the bundles good1.ecgb, good2.ecgb, wrong.ecgb, and python.txt: how to call edge-ecg.
out=$1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
useradd -m -s /bin/bash ann
install -o ann -g ann /dev/null /dev/shm/of-ann
home=/home/ann/.local/share/edge-ecg
edge=$home/runtimes/good/bin/edge-ecg
ann() { runuser -u ann -- env HOME=/home/ann "$@"; }
say() { echo "$1: $2"; }
state() { systemctl show -P "$1" edge-ecg; }
until_true() { # SECONDS COMMAND...
    local left=$1 && shift
    while ! "$@" 2>/dev/null; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 1
    done
}
status_has() { state StatusText | grep -q "$1"; }
runs() { [ "$(basename "$(readlink $home/current)")" = "$1" ] && [ "$(state ActiveState)" = active ]; }
settled() { [ ! -e $home/state/trial.json ]; }
restarted() { [ "$(state NRestarts)" -gt "$1" ] && status_has '%'; }

runtime() { # NAME TEXT
    mkdir -p "$home/runtimes/$1/bin"
    printf '%s\n' "$2" >"$home/runtimes/$1/bin/edge-ecg"
    chmod 755 "$home/runtimes/$1/bin/edge-ecg"
    touch "$home/runtimes/$1/.complete"
}
runtime good "$(cat "$out/python.txt")"
runtime hangs $'#!/bin/sh\nexec sleep 1000'
chown -R ann:ann /home/ann
release() { # BUNDLE RUNTIME WATCH
    ann "$(head -1 "$edge" | cut -c3-)" "$out/release.py" "$out/$1" "$2" "$3"
}

first=$(release good1.ecgb good none)
"$edge" service install --user ann --port 'sim:shimmer3?speed=5' 2>/dev/null
say install $?
sed -i 's/#watchdog_s = 30/watchdog_s = 10/; s/#start_timeout_s = 120/start_timeout_s = 20/' $home/config.toml
"$edge" service install --user ann 2>/dev/null
say again $?
until_true 30 status_has '%'
say decides "$(state StatusText)"
pid=$(state MainPID)
say user "$(awk '/^Uid/ {print $2}' "/proc/$pid/status") $(id -u ann)"
say walls "$(awk '/^(NoNewPrivs|Seccomp|CapBnd):/ {print $2}' "/proc/$pid/status" | xargs)"
say homes "$(nsenter -t "$pid" -m ls -A /home /root /home/ann | xargs)"
say network "$(awk -F: 'NR > 2 {print $1}' "/proc/$pid/net/dev" | xargs)"
say mode "$(stat -c %a $home/state/health.json)"
say journal "$(journalctl -u edge-ecg -p notice -o cat | grep -c Ready)"

restarts=$(state NRestarts)
kill -STOP "$pid"
until_true 40 restarted "$restarts" && say watchdog restarted
sed -i 's/#engine = "auto"/engine = "onnx-int8"/' $home/config.toml
systemctl reload edge-ecg
say reload $?
# The status may still be that of the process before.
on_onnx() { journalctl -u edge-ecg -o cat | grep -q 'Hz.* in onnx-int8'; }
until_true 60 on_onnx
say onnx "$(journalctl -u edge-ecg -o cat | grep -c 'Hz.* in onnx-int8')"
until_true 20 status_has '%'

second=$(release good2.ecgb good 4)
until_true 40 settled
say switched "$(runs "$second" && echo yes) $first $second"
third=$(release wrong.ecgb good 60)
until_true 40 runs "$second"
say golden "$(runs "$second" && echo yes) $(grep -c "$third" $home/state/bad.json)"
fourth=$(release good1.ecgb hangs 60)
until_true 120 grep -q "$fourth" $home/state/fallbacks
until_true 30 status_has '%'
say hangs "$(runs "$second" && echo yes) $(grep -c 'started 3 times' $home/state/fallbacks)"

keys=/home/ann/.config/edge-ecg/trusted_keys
ann mkdir -p $keys
ssh-keygen -q -t ed25519 -N '' -C box -f /mnt/key && install -m 644 -o ann -g ann /mnt/key.pub $keys/box.pub
systemctl restart edge-ecg 2>/dev/null
say unsigned "$? $(journalctl -u edge-ecg -p err -o cat | grep -c 'not signed')"
say shm "$(test -e /dev/shm/of-ann && echo kept)"
rm $keys/box.pub
until_true 30 status_has '%' && say unsigned_again runs

began=$(date +%s%N)
systemctl stop edge-ecg
say stop_ms $((($(date +%s%N) - began) / 1000000))
say result "$(state Result)"
"$edge" service uninstall --user ann 2>/dev/null
say uninstall $?
say left "$(ls -d $home/config.toml $home/current /etc/systemd/system/edge-ecg.service $home/state/service.json 2>/dev/null | xargs -n1 basename | xargs)"
