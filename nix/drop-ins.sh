# `gate NAME [OPTION…]` writes the drop-in of a unit to $out; what upgrade-gate says of it is told with the option's name.
#   $program    upgrade-gate, for this machine
#   $unitFiles  the unit files, as /etc/systemd/system has them
#   $installed  the path of upgrade-gate for the drop-ins
mkdir -p "$out/lib/systemd/system"
refused=0
gate() {
  local unit=$1 said
  shift
  said=$("$program" drop-in --units "$unitFiles" --output "$out/lib/systemd/system" --program "$installed" "$@" -- "$unit" 2>&1 >/dev/null) || refused=1
  [[ -z $said ]] || printf '%s\n' "services.upgrade-gate.units.\"$unit\": $said" >&2
}
