# Sourced by the guest's scripts.

# Write a line to the console log, which `openstack console log show` prints.
say() {
    echo "enos-guest: $*" > /dev/console
}
