"""Trusted keys: what is not beyond doubt stops everything; it is never taken for an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_ecg.bundle import PublicKey, TrustedKeys, read_bundle
from edge_ecg.bundle.private_key import public_of
from edge_ecg.bundle.trust import SYSTEM_DIRECTORY, trusted_directories
from edge_ecg.bundle.trust_edit import add_trusted_key, remove_trusted_key
from edge_ecg.errors import BundleError, UsageError
from edge_ecg.model import bundled, load_model

MakeKey = Callable[[str], Ed25519PrivateKey]


@pytest.fixture
def alice(make_key: MakeKey) -> PublicKey:
    return public_of(make_key("alice"), "alice")


@pytest.fixture
def bob(make_key: MakeKey) -> PublicKey:
    return public_of(make_key("bob"), "bob")


@pytest.fixture
def folder(tmp_path: Path, alice: PublicKey) -> Path:
    """A folder that trusts alice."""
    path = tmp_path / "trusted_keys"
    path.mkdir()
    (path / "alice.pub").write_text(alice.line + "\n")
    return path


def refused(folder: Path, why: str) -> BundleError:
    with pytest.raises(BundleError, match="cannot be used") as caught:
        TrustedKeys.of_directories([folder])
    assert why.lower() in caught.value.why.lower()
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    return caught.value


def test_where_they_lie() -> None:
    user = Path("/home/pi/.config/edge-ecg/trusted_keys")
    assert trusted_directories({"HOME": "/home/pi"}) == (SYSTEM_DIRECTORY, user)
    assert Path("/etc/edge-ecg/trusted_keys") == SYSTEM_DIRECTORY
    assert trusted_directories({"HOME": "/home/pi", "XDG_CONFIG_HOME": "relative"})[1] == user
    assert trusted_directories({"XDG_CONFIG_HOME": "/x"})[1] == Path("/x/edge-ecg/trusted_keys")
    both = {"HOME": "/home/pi", "EDGE_ECG_TRUSTED_KEYS": f"/a{os.pathsep}/b"}
    assert trusted_directories(both) == (Path("/a"), Path("/b"))
    for nothing in ("", os.pathsep, 2 * os.pathsep):
        assert trusted_directories({"HOME": "/home/pi", "EDGE_ECG_TRUSTED_KEYS": nothing})[1] == user


def test_keys_of_all_folders_count(folder: Path, tmp_path: Path, alice: PublicKey, bob: PublicKey) -> None:
    other = tmp_path / "more"
    other.mkdir()
    (other / "b.pub").write_text(bob.line)
    (other / ".hidden.pub").write_text("no key")
    (other / "b.pub~").write_text("no key")
    keys = TrustedKeys.of_directories([folder, tmp_path / "missing", other])
    assert [(one.key, one.path) for one in keys.keys] == [
        (alice, folder / "alice.pub"),
        (bob, other / "b.pub"),
    ]
    assert alice in keys
    assert PublicKey(bob.raw, "renamed") in keys
    assert public_of(Ed25519PrivateKey.generate()) not in keys
    assert "alice" not in keys


def test_no_folder_and_an_empty_folder_hold_nobody(tmp_path: Path) -> None:
    assert TrustedKeys.of_directories([tmp_path, tmp_path / "missing"]) == TrustedKeys()


def test_a_folder_that_the_environment_names_must_be_there(tmp_path: Path, folder: Path) -> None:
    missing = tmp_path / "typo"
    with pytest.raises(BundleError, match="does not exist") as caught:
        TrustedKeys.of_machine({"EDGE_ECG_TRUSTED_KEYS": f"{folder}{os.pathsep}{missing}"})
    assert str(missing) in caught.value.remedy
    assert len(TrustedKeys.of_machine({"EDGE_ECG_TRUSTED_KEYS": str(folder)}).keys) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a line"),
        (b"\xff\xfe\x00", "codec"),
        (b"ssh-rsa AAAAB3NzaC1yc2E= me\n", "'ssh-rsa'"),
        (b"sk-ssh-ed25519@openssh.com AAAA me\n", "'sk-ssh-ed25519@openssh.com'"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"),
        (b"ssh-ed25519 AAAA me\n", "exactly one"),
        (b"# a remark\n", "its type"),
        (b"x" * 5000, "larger than 4096"),
    ],
)
def test_one_file_that_is_no_key_stops_everything(folder: Path, content: bytes, why: str) -> None:
    (folder / "broken.pub").write_bytes(content)
    assert str(folder / "broken.pub") in refused(folder, why).what


def test_a_folder_with_keys_of_the_wrong_name_is_not_an_empty_one(folder: Path) -> None:
    (folder / "alice.pub").rename(folder / "alice.pub.txt")
    refused(folder, "no file that ends in .pub")


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_a_folder_that_others_may_write_to(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    error = refused(folder, f"(mode {mode:04o})")
    assert error.remedy == f"chmod go-w {folder}"
    subprocess.run(error.remedy.split(), check=True)
    assert len(TrustedKeys.of_directories([folder]).keys) == 1


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_a_key_that_others_may_write_to(folder: Path, mode: int) -> None:
    (folder / "alice.pub").chmod(mode)
    assert refused(folder, f"(mode {mode:04o})").remedy == f"chmod go-w {folder / 'alice.pub'}"


def test_a_folder_on_the_way_that_others_may_write_to(folder: Path, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "keys"
    deep.mkdir(parents=True)
    (deep / "alice.pub").write_bytes((folder / "alice.pub").read_bytes())
    (tmp_path / "a").chmod(0o777)
    refused(deep, "Other users may write there (mode 0777)")
    (tmp_path / "a").chmod(0o1777)
    assert len(TrustedKeys.of_directories([deep]).keys) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user(folder: Path) -> None:
    os.chown(folder / "alice.pub", 12345, 12345)
    refused(folder, "belongs to the user number 12345")
    os.chown(folder / "alice.pub", 0, 0)
    os.chown(folder, 12345, 12345)
    refused(folder, "belongs to the user number 12345")


_AS_NOBODY = """
import os, sys
from edge_ecg.bundle import TrustedKeys
from edge_ecg.errors import BundleError
os.setgid(65534); os.setuid(65534)
try:
    print(len(TrustedKeys.of_directories(sys.argv[1:]).keys))
except BundleError as error:
    print(error.why)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read_is_not_taken_for_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        folder = top / "keys"
        folder.mkdir(mode=0o755)
        key = folder / "k.pub"
        key.write_text(public_of(Ed25519PrivateKey.generate()).line)

        def told() -> str:
            done = subprocess.run(
                [sys.executable, "-c", _AS_NOBODY, folder], capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        assert told() == "1"
        key.chmod(0o600)
        assert told() == "Permission denied."
        key.chmod(0o644)
        folder.chmod(0o700)
        assert told() == "Permission denied."
        top.chmod(0o700)
        assert told() == "Permission denied."


def test_links_pipes_and_folders(folder: Path, tmp_path: Path, alice: PublicKey) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    assert TrustedKeys.of_directories([linked]).keys[0].key == alice
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    refused(dangling, "a link to nothing")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(loop, "symbolic links")
    refused(folder / "alice.pub", "not a folder")
    (folder / "gone.pub").symlink_to(tmp_path / "nowhere")
    refused(folder, "No such file")
    (folder / "gone.pub").unlink()
    (folder / "folder.pub").mkdir()
    refused(folder, "")
    (folder / "folder.pub").rmdir()
    os.mkfifo(folder / "pipe.pub")
    refused(folder, "not a file")


@pytest.mark.parametrize("how", ["unsigned", "another's", "a damaged key", "an open folder"])
def test_the_model_that_comes_along_is_read_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, small: bytes, tmp_path: Path, how: str
) -> None:
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(folder))
    if how == "a damaged key":
        (folder / "alice.pub").write_text("?")
    if how == "an open folder":
        folder.chmod(0o777)
    path = tmp_path / "small.ecgb"
    path.write_bytes(small)
    with pytest.raises(BundleError):
        read_bundle(path)
    with pytest.raises(BundleError):
        load_model(path)
    assert bundled().manifest.name == "stress"


def test_load_model_asks_for_a_signer_unless_told_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bundle_path: Path
) -> None:
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(folder))
    with pytest.raises(BundleError, match="is not signed"):
        load_model(bundle_path)
    assert load_model(bundle_path, untrusted=True).bundle.signers == ()


def test_adding_and_removing(tmp_path: Path, alice: PublicKey, bob: PublicKey) -> None:
    folder = tmp_path / "config" / "edge-ecg" / "trusted_keys"
    before = os.umask(0o002)  # the usual one where each user has a group
    try:
        first = add_trusted_key(folder, alice)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert first.path.read_text() == alice.line + "\n"
    assert first.path.stat().st_mode & 0o777 == 0o644
    assert add_trusted_key(folder, PublicKey(alice.raw, "renamed")) == first
    second = add_trusted_key(folder, PublicKey(bob.raw, "../../ b / ö"))
    assert second.path.parent == folder
    keys = TrustedKeys.of_directories([folder])
    assert {one.key.raw for one in keys.keys} == {alice.raw, bob.raw}
    with pytest.raises(UsageError, match="No trusted key"):
        remove_trusted_key(keys, "SHA256:nobody")
    assert remove_trusted_key(keys, alice.fingerprint.removeprefix("SHA256:")) == [first]
    assert [one.key.raw for one in TrustedKeys.of_directories([folder]).keys] == [bob.raw]
    assert len(list(folder.iterdir())) == 1


def test_adding_to_a_folder_that_could_not_be_used_changes_nothing(folder: Path, bob: PublicKey) -> None:
    folder.chmod(0o777)
    with pytest.raises(BundleError):
        add_trusted_key(folder, bob)
    assert [item.name for item in folder.iterdir()] == ["alice.pub"]


def test_adding_below_an_open_folder_is_taken_back(tmp_path: Path, bob: PublicKey) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(BundleError, match="cannot be used"):
        add_trusted_key(tmp_path / "new", bob)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_power_cut_while_the_first_key_is_added(
    tmp_path: Path, alice: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"

    def cut(_: Path, __: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            add_trusted_key(folder, alice)
    assert TrustedKeys.of_directories([folder]).keys == ()
    add_trusted_key(folder, alice)
    assert alice in TrustedKeys.of_directories([folder])
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
