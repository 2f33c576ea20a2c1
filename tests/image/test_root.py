"""What is in the image, and what is not."""

import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile

import dockerfile

MEGABYTE = 10**6
SHELLS = {"sh", "bash", "dash", "busybox", "ash", "perl", "python3", "env"}
TLS_LIBRARIES = r"lib(gnutls|nettle|hogweed|nss3|mbedtls|wolfssl)"
FOREIGN = r"lib(krb5|gssapi|ldap|lber|ssh2|rtmp|psl|idn2|nghttp|brotli)"


def entries(root):
    """Everything below the root, as (path from the root, lstat)."""
    found = [path for path in root.rglob("*")]
    assert found
    return [(str(path.relative_to(root)), path.lstat()) for path in found]


def test_size(root, static):
    """Proves the goal of 10 MB with a libcurl of its own; with Debian's, whose
    libraries alone take 22.6 MB, that nothing else comes in."""
    size = sum(status.st_size for _, status in entries(root) if stat.S_ISREG(status.st_mode))
    limit = 10 if static else 25
    print(f"\n{size} bytes in files, of {limit} MB")
    assert size <= limit * MEGABYTE


def test_one_program(root):
    """Proves that there is no shell, and no program beside clinch, the
    libraries and the loader."""
    runs = [path for path, status in entries(root) if stat.S_ISREG(status.st_mode) and status.st_mode & 0o111]
    assert [path for path in runs if not re.search(r"\.so(\.[0-9]+)*$", path)] == ["usr/sbin/clinch"]
    assert not [path for path, _ in entries(root) if path.rsplit("/", 1)[-1] in SHELLS]


def test_owners_and_modes(root):
    """Proves that nothing has more rights than its user, that the store alone
    can be written to, and that any UID of group 0 can do so."""
    for path, status in entries(root):
        if path == "var/lib/clinch":
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65532, 0, 0o770)
            continue
        assert (status.st_uid, status.st_gid) == (0, 0), path
        assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX), path
        assert stat.S_ISLNK(status.st_mode) or not status.st_mode & 0o022, path
        assert stat.S_ISLNK(status.st_mode) or status.st_mode & 0o004, path


def test_libraries(root, static):
    """Proves that the loader finds everything in the image, and that a static
    libcurl brings neither a second TLS library nor what HTTP does not need."""
    loader = next(path for path in root.glob("lib*/**/ld-linux*"))
    command = ["chroot", root, f"/{loader.relative_to(root)}", "--list", "/usr/sbin/clinch"]
    done = subprocess.run(command, capture_output=True, text=True)
    libraries = done.stdout.split()
    assert done.returncode == 0 and "libc.so.6" in libraries and "not found" not in done.stdout, done.stdout + done.stderr
    present = [path for path, _ in entries(root) if re.search(r"\.so(\.[0-9]+)*$", path)]
    assert all("/" + path in libraries for path in present if "ld-linux" not in path), done.stdout
    if static:
        assert not [path for path in present if re.search(f"{TLS_LIBRARIES}|{FOREIGN}|libcurl", path)]
    else:
        assert [path for path in present if "libcurl.so.4" in path]


def test_hardening(root):
    """Proves that the program is what the package would be: position
    independent, its relocations read-only, its stack not executable."""
    words = subprocess.run(["readelf", "-hldW", root / "usr/sbin/clinch"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Type: +DYN", words) and "BIND_NOW" in words and "GNU_RELRO" in words
    assert re.search(r"GNU_STACK .* RW +0x", words)


def test_no_path_of_the_build(root):
    """Proves that the program's bytes do not depend on the folder."""
    assert b"/usr/src/" not in (root / "usr/sbin/clinch").read_bytes()


def test_parts_are_listed(root, sbom, static):
    """Proves that the SBOM names each package that has a licence or a record
    in the image, with a version and a purl, and how libcurl is linked."""
    parts = {one["name"]: one for one in sbom["packages"]}
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    records = set(os.listdir(root / "var/lib/dpkg/status.d"))
    licences = set(os.listdir(root / "usr/share/doc"))
    assert parts.keys() == records | {"clinch"} | ({"libcurl"} if static else set())
    assert licences == records | {"clinch"} | ({"curl"} if static else set())
    for name in parts.keys() - {"clinch"}:
        assert parts[name]["externalRefs"][0]["referenceLocator"].startswith("pkg:deb/debian/"), name
        assert parts[name]["versionInfo"], name
    related = {one["relatedSpdxElement"]: one["relationshipType"] for one in sbom["relationships"]}
    assert related.keys() == {one["SPDXID"] for one in parts.values()}
    name = "libcurl" if static else "libcurl4t64"
    assert related[parts[name]["SPDXID"]] == ("STATIC_LINK" if static else "DYNAMIC_LINK")
    ids = [one["SPDXID"] for one in sbom["packages"]]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in ids)


def test_licences_that_are_referred_to(root):
    """Proves that a common licence is present where a copyright file names it."""
    for file in (root / "usr/share/doc").glob("*/copyright"):
        named = re.findall(r"/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]", file.read_text("utf-8", "replace"))
        for path in named:
            if os.path.isfile(path):
                assert (root / path.lstrip("/")).is_file(), (file, path)


def test_certificates_of_authorities(root):
    """Proves that OpenSSL's default file leads to the bundle inside."""
    link = root / "usr/lib/ssl/cert.pem"
    assert b"BEGIN CERTIFICATE" in (root / os.readlink(link).lstrip("/")).read_bytes()


def test_archive_is_the_root(root, blobs, configured, static):
    """Proves that the archive has the right digests, the bytes of the root,
    and labels with the variant that was built."""
    for name, data in blobs.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(data).hexdigest() == name.rsplit("/", 1)[1]
    manifest = json.loads(blobs["manifest.json"])[0]
    with tarfile.open(fileobj=io.BytesIO(blobs[manifest["Layers"][0]])) as layer:
        assert layer.getnames() == sorted(path for path, _ in entries(root))
        members = layer.getmembers()
    assert len({one.mtime for one in members}) == 1
    assert {(one.uid, one.gid) for one in members} == {(0, 0), (65532, 0)}
    labels = configured["Labels"]
    assert labels["clinch.libcurl"] == ("static" if static else "debian")
    version = re.search(r"AC_INIT\(\[clinch\], \[([^]]+)\]", (dockerfile.TOP / "configure.ac").read_text())[1]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "BSD-2-Clause"
