# Reboots, in a minute, into the system that is staged, within a window of the day: from $lower to $upper, as HH:MM. One that ends
# before it begins is of the night, and one that ends where it begins is the whole day.
now=$(date +%H:%M)
if [[ $lower < $upper ]]; then
  [[ ! $now < $lower && $now < $upper ]]
else
  [[ ! $now < $lower || $now < $upper ]]
fi || {
  echo "It is $now, and system.autoUpgrade.rebootWindow is $lower to $upper: the next upgrade asks again."
  exit 0
}
exec shutdown -r +1
