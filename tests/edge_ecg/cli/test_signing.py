"""keygen, sign, verify, trust: with keys of our own and of OpenSSH's, as a person types it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge_ecg.bundle import PublicKey, read_bundle
from edge_ecg.bundle.private_key import write_key_pair
from edge_ecg.cli import main
from edge_ecg.errors import UsageError

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (apt: openssh-client)"
)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        return dict(json.loads(line))


Call = Callable[..., Done]


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Call]:
    """Run one command line in a folder of its own, where nobody is trusted yet and no terminal is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv("EDGE_ECG_KEY_PASSPHRASE", raising=False)
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "nothing was flashed"))

    def run(*arguments: object) -> Done:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield run


@pytest.fixture
def model(bundle_path: Path, call: Call, tmp_path: Path) -> Path:
    """A bundle in that folder; commands name it by itself."""
    return Path(shutil.copy(bundle_path, tmp_path / "model.ecgb")).relative_to(tmp_path)


def ssh_keygen(file: str, *options: str, passphrase: str = "") -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-N", passphrase, "-C", "me at work", "-f", file, *options], check=True
    )


def fingerprint(file: str) -> str:
    return PublicKey.parse(Path(f"{file}.pub").read_text()).fingerprint


def test_the_whole_way(call: Call, model: Path) -> None:
    made = call("keygen", "-o", "release", "--json")
    assert made.code == 0
    assert made.json() == {
        "type": "key",
        "fingerprint": fingerprint("release"),
        "comment": "release",
        "private": "release",
        "public": "release.pub",
        "encrypted": False,
    }
    assert "no passphrase" in made.err
    assert stat.S_IMODE(os.stat("release").st_mode) == 0o600

    before = read_bundle(model)
    assert "any bundle is run" in call("verify", model).out
    done = call("sign", model, "--key", "release")
    assert done == Done(
        0, f"model.ecgb: {before.name_at_sha}, signed by {fingerprint('release')} (release)\n", ""
    )
    assert read_bundle(model).name_at_sha == before.name_at_sha
    assert sorted(item.name for item in Path().iterdir()) == ["keys", "model.ecgb", "release", "release.pub"]

    assert call("trust", "list") == Done(0, "", call("trust", "list").err)
    added = call("trust", "add", "release.pub")
    assert added.code == 0
    assert "refused here" in added.err
    listed = call("trust", "list", "--json").json()
    assert listed["fingerprint"] == fingerprint("release")
    assert Path(listed["file"]).parent == Path("keys").resolve()

    verified = call("verify", model, "--json").json()
    assert verified["accepted"] is True
    assert verified["signers"] == [
        {"fingerprint": fingerprint("release"), "comment": "release", "trusted": True}
    ]
    assert f"signature   {fingerprint('release')} (release), trusted here" in call("verify", model).out
    assert f"signature   {fingerprint('release')} (release), trusted here" in call("inspect", model).out
    assert call("inspect", model, "--json").json()["signers"] == verified["signers"]

    removed = call("trust", "remove", fingerprint("release"))
    assert removed.code == 0
    assert "No key is trusted here" in removed.err
    assert list(Path("keys").iterdir()) == []


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed by another"])
def test_what_is_refused_and_the_way_round(call: Call, model: Path, signed: bool) -> None:
    for name in ("mine", "other"):
        assert call("keygen", "-o", name, "--no-passphrase").err == ""
    assert call("trust", "add", "mine.pub").code == 0
    if signed:
        assert call("sign", model, "--key", "other").code == 0
    for verb in (
        ("run", "--port", "sim:?speed=max", "--duration", "1", "--model"),
        ("replay", "nothing.csv", "--model"),
        ("enrol", "--demo", "--model"),
        ("view", "nothing.csv", "--model"),
        ("bench", "--model"),
        ("inspect",),
    ):
        done = call(*verb, model)
        assert (done.code, done.out) == (4, ""), verb
        assert ("does not trust" if signed else "is not signed") in done.err
        assert (fingerprint("other") in done.err) == signed
    done = call("verify", model, "--json")
    assert done.code == 4
    assert done.json()["accepted"] is False
    assert done.json()["signed"] is signed
    assert call("verify", model, "--keys", "keys").code == 4

    shown = call("inspect", model, "--untrusted")
    assert (shown.code, shown.err) == (0, "--untrusted: nobody asks who signed model.ecgb.\n")
    done = call(
        "run", "--port", "sim:?speed=max", "--duration", "11", "--json", "--untrusted", "--model", model
    )
    assert done.code == 0
    assert "nobody asks who signed" in done.err
    few = ("--windows", "1", "--warm-up", "1", "--hops", "1", "--starts", "1", "--engine", "litert-fp32")
    done = call("bench", "--untrusted", "--json", *few, "--model", model)
    assert done.code == 0, done.err
    # What comes along is part of the program.
    assert call("verify").code == 0
    assert "needs no signature" in call("verify").out


def test_verify_with_keys_of_a_folder(call: Call, model: Path) -> None:
    for name in ("a", "b"):
        call("keygen", "-o", name, "--no-passphrase")
    Path("empty").mkdir()
    Path("of_a").mkdir()
    shutil.copy("a.pub", "of_a")
    assert call("verify", model, "--keys", "of_a").code == 4
    call("sign", model, "--key", "b")
    assert call("verify", model, "--keys", "of_a").code == 4
    call("sign", model, "--key", "a")
    done = call("verify", model, "--keys", "of_a")
    assert done.code == 0
    assert f"{fingerprint('a')} (a), trusted here" in done.out
    assert f"{fingerprint('b')} (b), not trusted here" in done.out
    for wrong in ("empty", "missing"):
        assert call("verify", model, "--keys", wrong).code == 2


def test_a_signature_that_is_broken_is_refused_whoever_is_trusted(call: Call, model: Path) -> None:
    from edge_ecg.bundle.archive import pack, unpack

    call("keygen", "-o", "a", "--no-passphrase")
    call("sign", model, "--key", "a")
    entries = [
        (name, content.replace(b" a\n", b" b\n") if name == "manifest.sig" else content)
        for name, content in unpack(model.read_bytes())
    ]
    model.write_bytes(pack(entries))
    for arguments in (("verify",), ("inspect",), ("inspect", "--untrusted"), ("sign", "--key", "a")):
        done = call(*arguments, model)
        assert (done.code, done.out) == (4, "")
        assert "The signature of" in done.err
    assert call("sign", model, "--key", "a", "--replace").code == 0
    assert call("verify", model).code == 0


def test_keys_are_never_overwritten(call: Call) -> None:
    call("keygen", "-o", "a", "--no-passphrase")
    private = Path("a").read_bytes()
    assert call("keygen", "-o", "a", "--no-passphrase").code == 2
    Path("a").unlink()
    done = call("keygen", "-o", "a", "--no-passphrase")
    assert (done.code, done.out) == (2, "")
    assert "a.pub exists; a key is never overwritten" in done.err
    assert not Path("a").exists()
    Path("b").symlink_to("nowhere")
    assert call("keygen", "-o", "b", "--no-passphrase").code == 2
    assert not Path("nowhere").exists()
    assert private
    assert call("keygen", "-o", "missing/a", "--no-passphrase").code == 2
    assert call("keygen", "-o", "c", "--no-passphrase", "--comment", "a\nb").code == 2
    assert not Path("c").exists()


def test_a_passphrase_from_a_file_and_from_the_environment(
    call: Call, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("secret").write_text("correct horse\nnot this line\n")
    assert call("keygen", "-o", "a", "--passphrase-file", "secret", "--json").json()["encrypted"] is True
    done = call("sign", model, "--key", "a")
    assert (done.code, done.out) == (2, "")
    assert "is encrypted, and there is no passphrase" in done.err
    for wrong in ("wrong", os.fsdecode(b"caf\xe9")):
        monkeypatch.setenv("EDGE_ECG_KEY_PASSPHRASE", wrong)
        done = call("sign", model, "--key", "a")
        assert done.code == 2
        assert "The passphrase of the key a is wrong" in done.err
    assert read_bundle(model).signers == ()
    assert call("sign", model, "--key", "a", "--passphrase-file", "secret").code == 0
    monkeypatch.setenv("EDGE_ECG_KEY_PASSPHRASE", "correct horse")
    assert call("sign", model, "--key", "a").code == 0
    assert call("keygen", "-o", "b", "--json").json()["encrypted"] is True
    for wrong, content in (("empty", "\n"), ("missing", None)):
        if content is not None:
            Path(wrong).write_text(content)
        assert call("keygen", "-o", "c", "--passphrase-file", wrong).code == 2
    assert not Path("c").exists()


@needs_ssh_keygen
def test_ssh_keygen_reads_what_keygen_makes(call: Call) -> None:
    Path("secret").write_text("correct horse")
    call("keygen", "-o", "plain", "--no-passphrase")
    call("keygen", "-o", "locked", "--passphrase-file", "secret")
    for name, passphrase in (("plain", ""), ("locked", "correct horse")):
        told = subprocess.run(
            ["ssh-keygen", "-y", "-P", passphrase, "-f", name], capture_output=True, text=True, check=True
        )
        assert told.stdout.split()[:2] == Path(f"{name}.pub").read_text().split()[:2]
        listed = subprocess.run(["ssh-keygen", "-l", "-f", name], capture_output=True, text=True, check=True)
        assert listed.stdout.split()[1:3] == [fingerprint(name), name]
    wrong = subprocess.run(["ssh-keygen", "-y", "-P", "x", "-f", "locked"], capture_output=True)
    assert wrong.returncode != 0


@needs_ssh_keygen
@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com"])
def test_a_person_s_own_ssh_key_signs(call: Call, model: Path, cipher: str) -> None:
    ssh_keygen("id_ed25519", "-t", "ed25519")
    done = call("sign", model, "--key", "id_ed25519")
    assert done.out.endswith(f"signed by {fingerprint('id_ed25519')} (me at work)\n")
    ssh_keygen("locked", "-t", "ed25519", "-Z", cipher, passphrase="pw")
    Path("secret").write_text("pw\n")
    done = call("sign", model, "--key", "locked", "--passphrase-file", "secret", "--json")
    assert done.code == 0, done.err
    signers = {fingerprint("locked"), fingerprint("id_ed25519")}
    assert {one["fingerprint"] for one in done.json()["signers"]} == signers
    alone = call("sign", model, "--key", "id_ed25519", "--replace", "--comment", "", "-o", "new.ecgb")
    assert alone.code == 0
    assert [str(key) for key in read_bundle("new.ecgb").signers] == [fingerprint("id_ed25519")]
    assert len(read_bundle(model).signers) == 2


@needs_ssh_keygen
def test_keys_that_cannot_sign_are_told_apart(call: Call, model: Path) -> None:
    ssh_keygen("id_rsa", "-t", "rsa", "-b", "2048")
    ssh_keygen("id_ecdsa", "-t", "ecdsa")
    ssh_keygen("locked_rsa", "-t", "rsa", "-b", "2048", passphrase="pw")
    ssh_keygen("pem_rsa", "-t", "rsa", "-b", "2048", "-m", "PEM")
    ssh_keygen("open", "-t", "ed25519")
    ssh_keygen("cut", "-t", "ed25519")
    os.chmod("open", 0o644)
    whole = Path("cut").read_text().splitlines()
    Path("cut").write_text("\n".join([*whole[:2], whole[-1]]))
    Path("note").write_text("hello")
    os.chmod("note", 0o600)
    before = model.read_bytes()
    for key, sentence in (
        ("id_rsa", "is of type 'ssh-rsa'; bundles are signed with ssh-ed25519 keys"),
        ("locked_rsa", "is of type 'ssh-rsa'"),
        ("id_ecdsa", "is of type 'ecdsa-sha2-nistp256'"),
        ("pem_rsa", "is not a private key in OpenSSH's format"),
        ("note", "is not a private key in OpenSSH's format"),
        ("open", "Other users may read the private key open (mode 0644)"),
        ("cut", "The key cut is damaged"),
        ("missing", "The key missing cannot be read"),
        ("keys", "The key keys cannot be read"),
    ):
        done = call("sign", model, "--key", key)
        assert (done.code, done.out) == (2, ""), key
        assert sentence in done.err
    assert os.stat("open.pub").st_mode & 0o044  # as they are made: that others may read it is no matter
    assert "is a public key" in call("sign", model, "--key", "open.pub").err
    assert model.read_bytes() == before


def test_what_is_no_bundle_is_not_signed(call: Call, model: Path) -> None:
    call("keygen", "-o", "a", "--no-passphrase")
    model.write_bytes(model.read_bytes()[:-1])
    before = model.read_bytes()
    for more in ((), ("--replace",)):
        done = call("sign", model, "--key", "a", *more)
        assert done.code == 4
        assert more or f"{model} is not an intact model bundle" in done.err
    assert call("sign", "missing.ecgb", "--key", "a").code == 4
    assert model.read_bytes() == before
    assert sorted(item.name for item in Path().iterdir()) == ["a", "a.pub", "keys", "model.ecgb"]


def test_signing_through_a_link_keeps_the_link(call: Call, model: Path) -> None:
    call("keygen", "-o", "a", "--no-passphrase")
    Path("link.ecgb").symlink_to(model)
    assert call("sign", "link.ecgb", "--key", "a").code == 0
    assert Path("link.ecgb").is_symlink()
    assert len(read_bundle(model).signers) == 1


def test_trust_reads_what_it_is_given_and_nothing_else(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("keygen", "-o", "a", "--no-passphrase")
    for wrong in ("a", "missing.pub", "keys"):
        done = call("trust", "add", wrong)
        assert (done.code, done.out) == (2, ""), wrong
    assert "private key" in call("trust", "add", "a").err
    with open("a.pub") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert call("trust", "add", "-").code == 0
    assert len(list(Path("keys").iterdir())) == 1
    again = call("trust", "add", "a.pub", "--json")
    assert again.json()["state"] == "trusted"
    assert len(list(Path("keys").iterdir())) == 1
    assert call("trust", "remove", "SHA256:nobody").code == 2
    Path("keys/z.pub").write_text("?")
    for arguments in (("list",), ("remove", fingerprint("a")), ("add", "a.pub")):
        assert call("trust", *arguments).code == 4


def test_trust_warns_of_a_model_that_will_not_start_again(
    call: Call, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "home"))
    current = tmp_path / "home" / "current"
    current.mkdir(parents=True)
    for name in ("a", "b"):
        call("keygen", "-o", name, "--no-passphrase")
    shutil.copy(model, current / "model.ecgb")
    assert "will not start again" in call("trust", "add", "a.pub").err
    call("sign", current / "model.ecgb", "--key", "a")
    assert "will not start again" not in call("trust", "add", "b.pub").err
    assert "will not start again" in call("trust", "remove", fingerprint("a")).err
    assert "will not start again" not in call("trust", "remove", fingerprint("b")).err


def test_trust_for_the_whole_machine(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = tmp_path / "etc" / "edge-ecg" / "trusted_keys"
    for module in ("bundle.trust", "bundle.trust_edit", "cli.trust"):
        monkeypatch.setattr(f"edge_ecg.{module}.SYSTEM_DIRECTORY", system)
    monkeypatch.delenv("EDGE_ECG_TRUSTED_KEYS")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name in ("a", "b"):
        call("keygen", "-o", name, "--no-passphrase")
    assert call("trust", "add", "a.pub", "--system").code == 0
    assert stat.S_IMODE(system.stat().st_mode) == 0o755
    assert call("trust", "add", "b.pub").code == 0
    assert stat.S_IMODE((tmp_path / "home/.config/edge-ecg/trusted_keys").stat().st_mode) == 0o700
    lines = call("trust", "list").out.splitlines()
    assert [line.split()[1] for line in lines] == [fingerprint("a"), fingerprint("b")]


def test_a_passphrase_at_the_terminal(call: Call, model: Path) -> None:
    def at_terminal(answers: list[str], *arguments: object) -> int:
        """Start the command on a terminal of its own and type an answer to each prompt."""
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "edge_ecg", *map(str, arguments)]
        with subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        ) as child:
            os.close(slave)
            shown = b""
            for answer in answers:
                prompt = len(shown)
                while b": " not in shown[prompt:]:
                    shown += os.read(master, 1024)
                os.write(master, answer.encode() + b"\n")
            with contextlib.suppress(OSError):  # the terminal goes with the process
                while more := os.read(master, 1024):
                    shown += more
        os.close(master)
        assert b"pw1" not in shown
        return child.returncode

    assert at_terminal(["pw1", "pw2"], "keygen", "-o", "a") == 2
    assert not Path("a").exists()
    assert at_terminal(["pw1", "pw1"], "keygen", "-o", "a") == 0
    assert at_terminal(["wrong"], "sign", model, "--key", "a") == 2
    assert at_terminal(["pw1"], "sign", model, "--key", "a") == 0
    assert [key.comment for key in read_bundle(model).signers] == ["a"]
    assert at_terminal([""], "keygen", "-o", "b") == 0
    assert call("sign", model, "--key", "b").code == 0


@pytest.mark.parametrize("full_at", [1, 2])
def test_a_disk_that_is_full_leaves_no_half_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_at: int
) -> None:
    synced = 0

    def fsync(_: int) -> None:
        nonlocal synced
        synced += 1
        if synced == full_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UsageError, match="cannot be written"):
            write_key_pair(tmp_path / "key", comment="work")
    assert list(tmp_path.iterdir()) == []
    write_key_pair(tmp_path / "key", comment="work")
