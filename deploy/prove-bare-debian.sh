#!/usr/bin/env bash
# Proves the commands of the README on a Debian 12 where nothing is installed but
# Python 3.11, make, git and the certificates: a root made by debootstrap, and a
# clone of this repository's last commit in it.
#
#   sudo deploy/prove-bare-debian.sh [COMMAND...]      default: make setup
#
# Environment, all of it optional:
#   BARE_ROOT          folder of the root; a fresh temporary one when not set. The root
#                      is kept when it was named, so that a second run skips debootstrap.
#   DEBIAN_MIRROR      mirror for debootstrap and apt-get; debootstrap's own when not set
#   EXTRA_CA_BUNDLE    a file of certificates to trust beside Debian's
#   PASS_ENVIRONMENT   names of variables that the commands shall see, such as "http_proxy"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $(id -u) == 0 ]] || { echo "this needs root, for debootstrap and chroot" >&2; exit 1; }

root=${BARE_ROOT:-$(mktemp -d)}
mkdir -p "$root"
chmod 755 "$root" # apt-get works as a user of its own
command=("$@")
((${#command[@]})) || command=(make setup)

say() { printf '### %s\n' "$*"; }

leave() {
    local each
    for each in dev/shm dev/pts dev proc sys; do
        ! mountpoint -q "$root/$each" || umount "$root/$each"
    done
    [[ -n ${BARE_ROOT:-} ]] || rm -rf --one-file-system "$root"
}
trap leave EXIT

inside() {
    local environment=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
    local name
    for name in ${PASS_ENVIRONMENT:-}; do
        [[ -z ${!name:-} ]] || environment+=("$name=${!name}")
    done
    chroot "$root" env -i "${environment[@]}" "$@" </dev/null
}

if [[ ! -e $root/etc/debian_version ]]; then
    say "debootstrap into $root"
    debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 ||
        { tail "$root.log" >&2; exit 1; }
    rm -f "$root.log"
    # As the slim images are: without manuals.
    printf 'path-exclude /usr/share/%s/*\n' man doc >"$root/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$root"/usr/share/man/* "$root"/usr/share/doc/*
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind /dev "$root/dev"
mount -t devpts devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"

say "Python 3.11, make, git and certificates"
inside apt-get -q update >/dev/null
inside env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
    python3.11 make git ca-certificates >/dev/null
if [[ -n ${EXTRA_CA_BUNDLE:-} ]]; then
    cat "$EXTRA_CA_BUNDLE" >>"$root/etc/ssl/certs/ca-certificates.crt"
fi

say "clone of $(git rev-parse --short HEAD)"
rm -rf "$root/srv/hemiface"
git clone -q --no-hardlinks . "$root/srv/hemiface"

say "${command[*]}"
start=$SECONDS
inside bash -c 'cd /srv/hemiface && exec "$@"' prove "${command[@]}"
say "${command[*]}: done in $((SECONDS - start)) s"
