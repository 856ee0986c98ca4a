#!/bin/busybox sh
# The first program of the Bluetooth machine: mounts the host's files, read-only below a layer in memory, and hands over
# to guest.sh inside them.
b=/bin/busybox
$b mkdir -p /proc /sys /dev /orders /lower /layer /system
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev

fail() {
  $b echo "$*"
  $b echo "$*" >/orders/failure
  $b sync
  $b poweroff -f
}
load() { for module in $($b cat "$1"); do $b insmod "$module" || $b echo "cannot load $module"; done; }
mark() { $b echo "$1 $($b cut -d' ' -f1 /proc/uptime) s" >>/orders/times; }

load /modules.boot
options=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $options,cache=mmap orders /orders || fail "the orders can't be mounted"
$b mount -t 9p -o ro,$options,cache=loose root /lower || fail "the host's files can't be mounted"
$b mount -t tmpfs -o mode=755 layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work system /system || fail "no overlay"
$b mkdir -p /system/proc /system/sys /system/dev /system/run /system/var/lib/bluetooth
$b mount -t proc proc /system/proc
$b mount -t sysfs sys /system/sys
$b mount -o bind /dev /system/dev
$b mkdir -p /system/dev/pts /system/dev/shm
$b mount -t devpts devpts /system/dev/pts
$b mount -t tmpfs -o mode=1777 shm /system/dev/shm
# As udev makes them.
$b ln -s /proc/self/fd /system/dev/fd
for name in stdin:0 stdout:1 stderr:2; do $b ln -s "/proc/self/fd/${name#*:}" "/system/dev/${name%:*}"; done
$b mount -t tmpfs -o mode=755 run /system/run
$b mount -t tmpfs -o mode=700 bluetooth /system/var/lib/bluetooth
$b mkdir -p /system/run/dbus /system/run/orders
$b mount -o bind /orders /system/run/orders
$b ifconfig lo 127.0.0.1 up
$b hostname ble-vm
mark mounted
load /modules.bluetooth
load /modules.gpio

out=
for port in /sys/class/virtio-ports/*; do
  [ "$($b cat "$port/name")" = out ] && out=/dev/${port##*/}
done
[ -n "$out" ] || fail "there is no port for output"
$b chroot /system /bin/sh /run/orders/guest.sh >"$out" 2>&1 </dev/null
$b dmesg >/orders/dmesg.log
mark end
$b sync
$b poweroff -f
