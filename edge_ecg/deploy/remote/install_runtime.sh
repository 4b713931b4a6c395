# Makes a runtime: a virtual environment at its final place, `.complete` last. POSIX sh.
# Set before: root, rid, python, requirements (a file's lines), about; find: a folder of wheels, or empty.
# Exit codes: 75 another one is at it, 76 no room, 77 what pip says; else what failed.
LC_ALL=C; export LC_ALL
# The login folder is on Python's path for `-m`: a random.py of the user's own there must not count.
PYTHONSAFEPATH=1; export PYTHONSAFEPATH
PIP_DISABLE_PIP_VERSION_CHECK=1; PIP_NO_INPUT=1; export PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT
folder=$root/runtimes/$rid
mkdir -p "$root/runtimes" || exit 1
exec 9>"$root/runtimes/.$rid.lock" || exit 1
# An earlier attempt whose link was cut may still be at work: what it does is not done twice.
flock -w 900 9 || exit 75
[ -e "$folder/.complete" ] && [ -x "$folder/bin/python" ] && [ -x "$folder/bin/edge-ecg" ] && exit 0
rm -rf "$folder" || exit 1
echo "step venv"
"$python" -m venv "$folder" || exit 1
echo "step packages"
printf '%s\n' "$requirements" >"$folder/requirements.txt" || exit 1
set -- --no-deps --only-binary=:all: --require-hashes --requirement "$folder/requirements.txt"
if [ -n "$find" ]; then set -- --no-index --find-links "$find" "$@"; fi
"$folder/bin/python" -m pip install --progress-bar off --quiet "$@" || exit 77
"$folder/bin/python" -m pip check >&2 || exit 77
echo "step check"
"$folder/bin/edge-ecg" --version >&2 || exit 1
printf '%s\n' "$about" >"$folder/.complete.new" || exit 1
sync -f "$folder" && mv "$folder/.complete.new" "$folder/.complete" && sync -f "$folder" || exit 1
rm -rf "$root/incoming/wheels"
