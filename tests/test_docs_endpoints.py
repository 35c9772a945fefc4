"""The manual's endpoints: what can be tried of its configurations, templates and recipes is."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

import pytest

import fitspec
from fitspec.cli import run_command_line
from fitspec.config import load_config
from fitspec.errors import ExitCode, UsageError
from fitspec.execute.choose import choose_endpoint
from fitspec.execute.endpoints import pool_of
from fitspec.execute.parsl import load as parsl_configuration
from fitspec.execute.pool import Endpoint
from fitspec.spec import find_specs

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FOLDER = DOCS / "endpoints"
PAGES = [DOCS / "endpoints.md", *sorted(FOLDER.glob("*.md"))]
FILES = [path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.suffix != ".md"]
TEMPLATES = sorted((FOLDER / "globus").glob("*.j2"))
CONFIGURATIONS = sorted((FOLDER / "parsl").glob("*.py"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (page.stem, language, text)
    for page in PAGES
    for language, text in BLOCK.findall(page.read_text())
]


def blocks(language: str) -> list[Any]:
    found = [(page, text) for page, name, text in BLOCKS if name == language]
    return [pytest.param(text, id=f"{page}-{index}") for index, (page, text) in enumerate(found)]


def relative(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_file_is_shown_as_it_is(path: Path) -> None:
    assert any(text == path.read_text() for _, _, text in BLOCKS)


def test_every_block_is_of_a_language_that_is_tried() -> None:
    tried = {"toml", "yaml", "python", "bash", "dockerfile", "singularity"}
    assert {language for _, language, _ in BLOCKS} == tried


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_is_of_the_configuration_or_of_a_specification(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tomllib.loads(text)
    if isinstance(data.get("endpoint"), dict):
        quickstart = (ROOT / "examples" / "quickstart.toml").read_text()
        (tmp_path / "spec.toml").write_text(quickstart + text)
        [spec] = find_specs([str(tmp_path / "spec.toml")])
        assert spec.spec.endpoint.name == data["endpoint"]["name"]
        return
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("FITSPEC_CONFIG", str(tmp_path / "config.toml"))
    endpoints = load_config().endpoints
    assert endpoints.keys() == data["endpoints"].keys()
    for own in endpoints.values():
        if own.config is not None:
            assert FOLDER / own.config.relative_to(tmp_path) in CONFIGURATIONS


def test_a_name_in_a_specification_means_the_users_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickstart = (ROOT / "examples" / "quickstart.toml").read_text()
    (tmp_path / "spec.toml").write_text(f'{quickstart}\n[endpoint]\nname = "river"\n')
    monkeypatch.setenv("FITSPEC_CONFIG", str(FOLDER / "config.toml"))
    found = choose_endpoint(find_specs([str(tmp_path / "spec.toml")]), load_config(), None, None)
    assert (found.kind, found.workers, found.queue) == ("globus-compute", 128, 3600.0)


@pytest.mark.parametrize("text", blocks("bash"))
def test_commands_are_bash_and_their_options_fitspecs(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if "fitspec" in words and words[0] in {"fitspec", "python", "mpiexec", "srun"}:
            # an option that there is not goes before the help
            arguments = words[words.index("fitspec") + 1 :]
            assert run_command_line([*arguments, "--help"]) == ExitCode.OK
            assert capsys.readouterr().err == ""


def test_commands_of_the_endpoint_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    testing = pytest.importorskip("click.testing")
    monkeypatch.setenv("GLOBUS_COMPUTE_USER_DIR", str(tmp_path))
    # it takes its own name from there, and must find a path
    monkeypatch.setattr(sys, "argv", ["/usr/bin/globus-compute-endpoint"])
    cli = pytest.importorskip("globus_compute_endpoint.cli")
    text = (FOLDER / "globus-compute.md").read_text()
    commands = set(re.findall(r"^globus-compute-endpoint (.*)$", text, re.MULTILINE))
    commands |= set(re.findall(r"`globus-compute-endpoint (.*?)`", text))
    assert {command.split()[0] for command in commands} >= {"configure", "start", "restart"}
    for command in commands:
        done = testing.CliRunner().invoke(cli.app, [*shlex.split(command), "--help"])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("text", blocks("python"))
def test_python_compiles(text: str) -> None:
    compile(text, "<docs>", "exec")


def mapped_identity() -> Any:
    mapper = pytest.importorskip("globus_compute_endpoint.endpoint.identity_mapper")
    return mapper.MappedPosixIdentity(
        local_user_record=pwd.getpwuid(os.getuid()),
        matched_identity=uuid.UUID(int=0),
        globus_identity_candidates=[],
    )


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A template as the endpoint renders it, on a machine without the site's network."""
    utils = pytest.importorskip("globus_compute_endpoint.endpoint.config.utils")
    from globus_compute_endpoint.endpoint.config import CoreEndpointConfig

    monkeypatch.setenv("GLOBUS_COMPUTE_USER_DIR", str(tmp_path))
    monkeypatch.setattr("parsl.addresses.address_by_route", lambda: "10.1.0.7")
    interfaces = {"ib0": "10.1.0.7"}
    monkeypatch.setattr("parsl.addresses.address_by_interface", lambda ifname: interfaces[ifname])

    def rendered(path: Path) -> str:
        text: str = utils.render_config_user_template(
            CoreEndpointConfig(), path.read_text(), path, mapped_identity(), None, {}, {}
        )
        return text

    return rendered


def load(text: str) -> Any:
    from globus_compute_endpoint.endpoint.config.utils import load_config_yaml

    return load_config_yaml(text)


@pytest.mark.parametrize("path", TEMPLATES, ids=relative)
def test_a_template_is_what_the_endpoint_loads(path: Path, render: Any) -> None:
    click = pytest.importorskip("click")
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load(render(path))
    if content["engine"]["provider"]["type"] == "KubernetesProvider":
        # its arguments have been looked at when it asks for its library, or for a cluster
        with pytest.raises(click.ClickException, match=r"kubernetes module|kube-config"):
            load(yaml.safe_dump(content))
        content["engine"]["provider"] = {"type": "LocalProvider"}
    config = load(yaml.safe_dump(content))
    assert type(config.engine).__name__ == "GlobusComputeEngine"
    assert config.idle_heartbeats_soft == 120
    executor = config.engine.executor
    assert executor.max_workers_per_node == content["engine"]["max_workers_per_node"]
    assert config.engine.encrypted == content["engine"].get("encrypted", True)


def test_slurms_jobs_start_the_container_with_all_cores(render: Any) -> None:
    engine = load(render(FOLDER / "globus" / "slurm.yaml.j2")).engine
    command = engine.containerized_launch_cmd()
    assert command.startswith(
        "apptainer run --bind /project /project/me/fitspec.sif"
        " globus-compute-endpoint python-exec parsl.executors.high_throughput.process_worker_pool "
    )
    provider = engine.provider
    assert (provider.walltime, provider.cores_per_node) == ("00:30:00", 32)
    assert "#SBATCH --exclusive" not in provider.scheduler_options
    script = provider.launcher(command, 1, provider.nodes_per_block)
    assert "srun --ntasks 1 -l --cpus-per-task=32 bash " in script
    subprocess.run(["bash", "-n"], input=provider.worker_init + script, text=True, check=True)


WORKERS = {"condor": 400, "local": 4, "slurm": 128}
"""Blocks times workers of one."""


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=relative)
def test_a_configuration_is_what_parsl_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("parsl")
    for name in ("address_by_hostname", "address_by_route"):
        monkeypatch.setattr(f"parsl.addresses.{name}", lambda: "10.1.0.7")
    if path.stem == "kubernetes":
        # its arguments have been looked at when it asks for its library, or for a cluster
        with pytest.raises(UsageError, match=r"kubernetes module|kube-config"):
            parsl_configuration(path)
        return
    assert pool_of(Endpoint("parsl", "cluster", config=path)).workers == WORKERS[path.stem]
    [executor] = parsl_configuration(path).executors
    assert executor.encrypted
    assert "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1" in executor.provider.worker_init
    assert "fitspec/bin" in executor.provider.worker_init or path.stem == "local"


def test_certificates_are_where_dask_looks_for_them() -> None:
    dask = pytest.importorskip("dask")
    security = pytest.importorskip("distributed.security")
    own = dask.config.collect([str(FOLDER / "dask")], env={})
    with dask.config.set(dask.config.merge(dask.config.config, own)):
        found = security.Security()
        assert dask.config.get("distributed.comm.default-scheme") == "tls"
    assert found.require_encryption
    folder = "/home/me/.config/dask"
    for role in ("scheduler", "worker", "client"):
        tls = found.get_tls_config_for_role(role)
        assert (tls["ca_file"], tls["cert"], tls["key"]) == tuple(
            f"{folder}/{name}" for name in ("ca.pem", "me.pem", "me.key")
        )


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's, in their order, with continued lines in one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [tuple(line.split(None, 1)) for line in whole]  # type: ignore[misc]


def shell(text: str) -> str:
    """Its words as a shell sees them; fails on anything that is no shell."""
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    return " ".join(shlex.split(text.replace("\\\n", " ")))


def test_the_dockerfile_can_be_read_and_does_what_the_manual_says() -> None:
    steps = instructions((FOLDER / "Dockerfile").read_text())
    known = {"ARG", "FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "CMD"}
    assert {name for name, _ in steps} == known  # an ENTRYPOINT would not run what it is given
    assert steps[:2] == [("ARG", "PYTHON=3.11"), ("FROM", "python:${PYTHON}-slim")]
    arguments: dict[str, str] = {}
    for name, text in steps[2:]:
        if name == "ARG":
            argument, _, value = text.partition("=")
            arguments[argument] = value
        elif name == "RUN":
            shell(text)
            assert set(re.findall(r"\$\{(\w+)\}", text)) <= arguments.keys()
    assert arguments["FITSPEC"] == fitspec.__version__
    assert ("USER", "1000") in steps
    assert [name for name, _ in steps].index("RUN") < [name for name, _ in steps].index("USER")
    environment = dict(
        pair.split("=") for name, text in steps if name == "ENV" for pair in text.split()
    )
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"


def test_apptainers_definition_makes_the_same_image() -> None:
    text = (FOLDER / "fitspec.def").read_text()
    header, *parts = re.split(r"^%", text, flags=re.MULTILINE)
    sections = {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}
    assert header.split() == ["Bootstrap:", "docker", "From:", "python:{{", "python", "}}-slim"]
    assert list(sections) == ["arguments", "files", "post", "environment", "runscript", "test"]
    arguments = dict(line.split("=") for line in sections["arguments"].split())
    assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == arguments.keys()
    steps = instructions((FOLDER / "Dockerfile").read_text())
    same = dict(line.split("=") for name, line in steps if name == "ARG")
    assert {name.upper(): value for name, value in arguments.items()} == same
    scripts = {name: shell(sections[name]) for name in ("post", "environment", "runscript", "test")}
    assert scripts["runscript"] == "exec $@"
    install = next(line for name, line in steps if name == "RUN")
    for name in arguments:
        install = install.replace(f"${{{name.upper()}}}", f"{{{{ {name} }}}}")
    assert shell(install) == f"{scripts['post']} && {scripts['test']}"
