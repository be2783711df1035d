"""How is something fetched from a registry, once? Everything goes to the cache, by name and version."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from scene import CACHE, HERE


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout.decode(errors='replace')[-4000:]}")
    return done.stdout.decode(errors="replace")


def once(folder, make):
    """`make(folder)`, unless an earlier run has finished it."""
    done = folder / ".complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        done.touch()
    return folder


def venv(name, *packages):
    """A Python of its own with these packages: its interpreter."""
    def make(folder):
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return once(CACHE / "python" / name, make) / "bin" / "python"


def sdist(package, version):
    """The unpacked source distribution, which has the tests where a wheel has none."""
    def make(folder):
        run(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:",
            "-d", folder, f"{package}=={version}")
        unpack(next(folder.glob("*.tar.gz")), folder)
    return next((once(CACHE / "sdist" / f"{package}-{version}", make)).glob("*/"))


def unpack(archive, folder):
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


def junit(path):
    """name → None or why it failed; what was skipped is no case."""
    if not path.exists():
        return {}
    cases = {}
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        name = f"{case.get('classname')}::{case.get('name')}" if case.get("classname") else case.get("name")
        why = None if bad is None else (bad.get("message") or bad.text or "failed")
        cases[name] = cases.get(name) or why
    return cases


def app(place, command, seconds=180, more=(), **options):
    """A driver of ours that prints `ok NAME` and `not ok NAME -- WHY`, given host and port."""
    code, output = place.run([*command, place.host, place.port, *more], seconds, cwd=HERE / "apps", **options)
    cases = {}
    for line in output.splitlines():
        if line.startswith("ok "):
            cases.setdefault(line[3:].strip(), None)
        elif line.startswith("not ok "):
            name, _, why = line[7:].partition(" -- ")
            cases[name.strip()] = why or "failed"
    if code:
        cases["(the driver ends well)"] = f"exit code {code}: {output[-500:]}"
    return cases


def npm(name, *packages):
    """A node_modules of its own with these packages."""
    def make(folder):
        run("npm", "install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", folder, *packages)
    return once(CACHE / "node" / name, make)


def node_app(place, modules, script, **options):
    """An ES module looks for its packages beside itself, so drivers run as copies beside them."""
    for driver in (HERE / "apps").glob("*.mjs"):
        shutil.copy(driver, modules)
    return app(place, ["node", modules / script], **options)


def debian_source(package, unpacked):
    """The upstream sources of a package, by a list of source packages that only this command sees."""
    def make(folder):
        lists = folder / "lists"
        (lists / "partial").mkdir(parents=True)
        sources = folder / "source.sources"
        system = "".join(path.read_text() for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")))
        sources.write_text("".join("Types: deb-src\n" if line.startswith("Types:") else line for line in system.splitlines(True)))
        options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", f"Dir::Etc::sourceparts={folder / 'none'}",
                   "-o", f"Dir::State::lists={lists}", "-q"]
        run("apt-get", *options, "update")
        run("apt-get", *options, "source", "--download-only", package, cwd=folder)
        unpack(next(folder.glob("*.orig.tar.*")), folder)
        shutil.rmtree(lists)
    return once(CACHE / "debian" / package, make) / unpacked


def debian(*packages):
    """Installs what is missing of these; only root may."""
    state = subprocess.run(["dpkg-query", "-W", "-f", "${Status}\n", *packages], capture_output=True, text=True)
    if state.returncode or "not-installed" in state.stdout or state.stdout.count("ok installed") < len(packages):
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    return [run("dpkg-query", "-W", "-f", "${Version}", package) for package in packages]


def crate(name, version):
    """The unpacked source of a crate, as cargo has it: a copy that may be built in."""
    def make(folder):
        probe = folder / "probe"
        (probe / "src").mkdir(parents=True)
        (probe / "src" / "lib.rs").touch()
        (probe / "Cargo.toml").write_text(
            f'[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n{name} = "={version}"\n[workspace]\n')
        run("cargo", "fetch", cwd=probe)
        found = json.loads(run("cargo", "metadata", "--format-version", "1", "--offline", "-q", cwd=probe))
        manifest = next(one["manifest_path"] for one in found["packages"] if one["name"] == name)
        shutil.copytree(Path(manifest).parent, folder / "source")
        shutil.rmtree(probe)
    return once(CACHE / "crates" / f"{name}-{version}", make) / "source"
