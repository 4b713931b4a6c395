# Asks a device what it is, in one go; changes nothing. Answers are lines KEY=VALUE. POSIX sh.
LC_ALL=C; export LC_ALL
# Python looks for modules in this folder too, which is the user's own: a venv.py there must not count.
PYTHONSAFEPATH=1; export PYTHONSAFEPATH
say() { printf '%s=%s\n' "$1" "$2"; }
say machine "$(uname -m)"
say kernel "$(uname -sr)"
say user "$(id -un)"
say groups "$(id -Gn)"
say user_home "$HOME"
root=${EDGE_ECG_HOME:-$HOME/.local/share/edge-ecg}
say root "$root"
say board "$(tr -d '\0' 2>/dev/null </proc/device-tree/model)"
say system "$(. /etc/os-release 2>/dev/null; printf '%s' "$PRETTY_NAME")"
say time "$(date +%s)"
near=$root
while [ ! -e "$near" ]; do near=$(dirname "$near"); done
say near "$near"
if [ -w "$near" ]; then say writable yes; else say writable no; fi
say free_kib "$(df -P -k "$near" | awk 'NR == 2 { print $4 }')"
seen=
for name in python3 python3.11 python3.12 python3.13 python3.14; do
    path=$(command -v "$name") || continue
    real=$(readlink -f "$path")
    case " $seen " in *" $real "*) continue ;; esac
    seen="$seen $real"
    say python "$("$path" -c '
import os, struct, sys, sysconfig
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, OSError, ValueError):
    libc = ""
try:
    import venv, ensurepip
    ready = "yes"
except ImportError:
    ready = "no"
print("|".join([sys.executable, "%d.%d" % sys.version_info[:2], sysconfig.get_platform(),
                str(8 * struct.calcsize("P")), libc, ready]))' 2>/dev/null)"
done
if sudo -n true 2>/dev/null; then say sudo yes; else say sudo no; fi
if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
    say systemd yes
    say service "$(systemctl is-active edge-ecg 2>/dev/null)"
else
    say systemd no
fi
current=$(readlink "$root/current" 2>/dev/null)
say current "${current##*/}"
say start_script "$([ -e "$root/bin/edge-ecg-start" ] && sha256sum <"$root/bin/edge-ecg-start" | cut -d ' ' -f 1)"
for folder in "$root"/runtimes/*/; do
    # One whose Python went with an upgrade of the system, or with a dying card, is made anew.
    [ -e "$folder.complete" ] && [ -x "$folder/bin/python" ] && [ -x "$folder/bin/edge-ecg" ] &&
        say runtime "$(basename "$folder")"
done
for folder in "$root"/releases/[0-9]*/; do
    [ -e "$folder/model.ecgb" ] || continue
    sha=$(sed -n 's/^ *"sha256": "\([0-9a-f]*\)".*/\1/p' "$folder/release.json" 2>/dev/null | tail -n 1)
    if [ -e "$folder/confirmed" ]; then mark=yes; else mark=no; fi
    say release "$(basename "$folder")|$sha|$(basename "$(readlink "$folder/runtime")")|$mark"
done
exit 0
