# shellcheck shell=bash disable=SC2034,SC2154 # the variables are those of the derivation
# `gate system|user NAME [OPTION…]` writes the drop-in of a unit to $out; what upgrade-gate says of it is told with the option.
#   $program      upgrade-gate, for this machine
#   $systemFiles  the unit files, as /etc/systemd/system has them
#   $userFiles    the same of /etc/systemd/user
#   $installed    the path of upgrade-gate for the drop-ins
refused=0
gate() {
  local whose=$1 unit=$2 said units=$out/lib/systemd/$1 files=$systemFiles option=units
  shift 2
  mkdir -p "$units"
  if [[ $whose == user ]]; then
    set -- --global "$@"
    files=$userFiles option=userUnits
  fi
  said=$("$program" drop-in --units "$files" --output "$units" --program "$installed" "$@" -- "$unit" 2>&1 >/dev/null) || refused=1
  [[ -z $said ]] || printf '%s\n' "services.upgrade-gate.$option.\"$unit\": $said" >&2
}
