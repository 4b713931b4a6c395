#!/bin/sh
# Starts the current release of edge-ecg. The service manager runs this; it needs no working Python.
#
# A release on trial that was started three times and is still not confirmed is taken back: `current` goes to
# `previous` again, and state/fallbacks says so (edge-ecg reads it). Whatever is missing, damaged or not
# writable, something is started if there is anything that can be started; else the exit code is 78 (EX_CONFIG).
#
# Written by edge-ecg; changes are overwritten. POSIX sh, for dash and busybox.

most_starts=3

home=${EDGE_ECG_HOME:-}
if [ -z "$home" ]; then
    home=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 78
fi
releases=$home/releases
state=$home/state

say() {
    echo "edge-ecg-start: $*" >&2
}

# Whether a release can be started: its bundle is there, and its runtime with the interpreter that it needs.
startable() {
    [ -n "$1" ] && [ -s "$releases/$1/model.ecgb" ] && [ -x "$releases/$1/runtime/bin/edge-ecg" ] || return 1
    # The interpreter is a link into the system, which an upgrade of the system may have removed.
    [ ! -L "$releases/$1/runtime/bin/python" ] || [ -x "$releases/$1/runtime/bin/python" ]
}

# The name of the release that a link leads to, if that can be started.
linked() {
    target=$(readlink "$1" 2>/dev/null) || return 1
    startable "${target##*/}" || return 1
    echo "${target##*/}"
}

# Give a link another name, over the link that has it. Without -T, mv would move it into the folder behind it.
rename_link() {
    mv -fT "$1" "$2" 2>/dev/null && return 0
    [ -L "$1" ] && [ -w "$home" ] || return 1
    # A power cut between these two leaves no `current`: then `previous` is started, which is what is wanted.
    rm -f "$2" && mv -f "$1" "$2"
}

# Point `current` at a release; on a full disk by the link `previous`, which is there already.
point_at() {
    rm -f "$home/current.part" 2>/dev/null
    if ln -s "releases/$1" "$home/current.part" 2>/dev/null && rename_link "$home/current.part" "$home/current"; then
        return 0
    fi
    rm -f "$home/current.part" 2>/dev/null
    [ "$(linked "$home/previous")" = "$1" ] && rename_link "$home/previous" "$home/current"
}

# Note that a release was taken back, and for which one: RELEASE TO SECONDS REASON.
note_fallback() {
    { printf '%s %s %s %s\n' "$1" "$2" "$(date +%s)" "$3" >>"$state/fallbacks"; } 2>/dev/null ||
        say "cannot note in $state/fallbacks that $1 was taken back"
}

on_trial() {
    # The braces come first: a file that is not there is no news.
    case $({ tr -d '\0' <"$state/trial.json"; } 2>/dev/null) in
    *"\"release\": \"$1\""* | *"\"replaces\": \"$1\""*) return 0 ;;
    esac
    return 1
}

# How often this release was started on trial; 0 when nobody knows.
started() {
    { read -r number name <"$state/starts"; } 2>/dev/null || [ -n "${number:-}" ] || number=0
    [ "${name:-}" = "$1" ] || number=0
    case $number in
    [0-9]) ;;
    *) number=0 ;;
    esac
    echo "$number"
}

# In place and without cutting the file first: that needs no room on the disk. Then onto the disk, since a
# release that takes the whole machine down must be counted, too.
count_start() {
    if ! { printf '%s %s\n' "$2" "$1" 1<>"$state/starts"; } 2>/dev/null; then
        say "cannot count this start in $state/starts"
        return
    fi
    sync "$state/starts" 2>/dev/null || sync
}

# The newest release that was confirmed and can be started, other than the one given.
any_other() {
    found=
    for folder in "$releases"/[0-9]*; do
        name=${folder##*/}
        [ "$name" != "$1" ] && [ -e "$folder/confirmed" ] && startable "$name" && found=$name
    done
    [ -n "$found" ] && echo "$found"
}

# One change at a time. Where there is no flock, or nothing can be written, it has to do without.
locked=
if command -v flock >/dev/null 2>&1 && { true >>"$home/lock"; } 2>/dev/null; then
    exec 9>>"$home/lock"
    flock -w 5 9 2>/dev/null && locked=yes
fi

wanted=$(readlink "$home/current" 2>/dev/null)
wanted=${wanted##*/}
current=$(linked "$home/current")
previous=$(linked "$home/previous")
[ "$previous" != "$current" ] || previous=

if [ -z "$current" ]; then
    reason="it cannot be started: its bundle or its runtime is missing"
elif on_trial "$current"; then
    number=$(started "$current")
    if [ "$number" -ge "$most_starts" ]; then
        reason="it was started $most_starts times and not confirmed"
        [ -n "$previous" ] || previous=$(any_other "$current")
        if [ -n "$previous" ]; then
            current=
        else
            say "$current: $reason, but there is no release to go back to"
        fi
    else
        count_start "$current" $((number + 1))
    fi
fi

if [ -z "$current" ]; then
    [ -n "$previous" ] || previous=$(any_other "$wanted")
    if [ -z "$previous" ]; then
        say "there is no release in $releases that can be started."
        say "put one there: edge-ecg flash HOST BUNDLE"
        exit 78
    fi
    say "${wanted:-no release}: $reason; going back to $previous"
    [ -z "$wanted" ] || note_fallback "$wanted" "$previous" "$reason"
    if point_at "$previous"; then
        rm -f "$state/starts" 2>/dev/null
        sync "$home" 2>/dev/null || sync
    else
        say "cannot write to $home: $previous is started this once, without being made the current one"
    fi
    current=$previous
fi

[ -z "$locked" ] || exec 9>&-
EDGE_ECG_HOME=$home
EDGE_ECG_RELEASE=$current
export EDGE_ECG_HOME EDGE_ECG_RELEASE
exec "$releases/$current/runtime/bin/edge-ecg" service run "$@"
