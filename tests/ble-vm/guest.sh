#!/bin/sh
# Inside the Bluetooth machine: a D-Bus, virtual controllers that hear one another, bluetoothd, then the command.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
orders=/run/orders
. $orders/settings

mark() { echo "$1 $(cut -d' ' -f1 /proc/uptime) s" >>$orders/times; }
fail() {
  echo "ble-vm: $*"
  tail -n 30 $orders/*.log
  [ ! -e /run/hci.btsnoop ] || cp /run/hci.btsnoop $orders/
  echo "$*" >$orders/failure
  exit 1
}
# Twenty times a second, for so many seconds.
wait_for() {
  tries=$(($1 * 20))
  shift
  while [ $tries -gt 0 ]; do
    "$@" >/dev/null 2>&1 && return
    tries=$((tries - 1))
    sleep 0.05
  done
  return 1
}
ask() { dbus-send --system --print-reply --dest=org.bluez "$@"; }
adapters() {
  [ "$(ask / org.freedesktop.DBus.ObjectManager.GetManagedObjects | grep -c 'string "org.bluez.Adapter1"')" = "$CONTROLLERS" ]
}
power_on() {
  ask "/org/bluez/hci$1" org.freedesktop.DBus.Properties.Set string:org.bluez.Adapter1 string:Powered variant:boolean:true
}

# One ATT bearer, as embedded locks have it; the lock does not look into the phones that connect.
mkdir -p /etc/bluetooth
cat >/etc/bluetooth/main.conf <<'CONF'
[General]
ControllerMode = le
ReverseServiceDiscovery = false
[GATT]
Channels = 1
[Policy]
AutoEnable = true
CONF
dbus-daemon --system --fork --nopidfile || fail "no D-Bus"
last=$((CONTROLLERS - 1))
if [ "$AIR" = btvirt ]; then
  btmon -w /run/hci.btsnoop >/dev/null 2>&1 &
  btvirt -l"$CONTROLLERS" -L >$orders/btvirt.log 2>&1 &
  wait_for 30 test -e "/sys/class/bluetooth/hci$last" || fail "no virtual controllers"
else
  # One after the other, so that their numbers are those of their lines.
  for adapter in $(seq 0 "$last"); do
    btattach -B "/dev/hvc$adapter" -P h4 -S 115200 >"$orders/btattach$adapter.log" 2>&1 &
    wait_for 30 test -e "/sys/class/bluetooth/hci$adapter" || fail "no controller on line $adapter"
  done
fi
/usr/libexec/bluetooth/bluetoothd -n >$orders/bluetoothd.log 2>&1 &
wait_for 30 adapters || fail "bluetoothd does not show the controllers"
for adapter in $(seq 0 "$last"); do
  wait_for 10 power_on "$adapter" || fail "hci$adapter does not switch on"
done
mark ready
sh $orders/command
status=$?
mark command
[ ! -e /run/hci.btsnoop ] || cp /run/hci.btsnoop $orders/
echo $status >$orders/status
