"""Make a run's best checkpoint into a model to ship: half precision, a name, its terms, its decoding. And beside it the
same for ONNX Runtime, which is what CPUs run.

python -m train.publish RUN --name default --licence "…"
    [--temperature T --rebalance U | --vividness V | --decodings FILE] [--shadow S] [--working-size PX]
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from restore.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from restore.colorizers.onnx_export import export_onnx
from restore.model_files import find_checkpoint


def publish(
    run: Annotated[str, typer.Argument(help="A run's folder, or a checkpoint.")],
    licence: Annotated[str, typer.Option(help="Terms under which the weights may be used.")],
    name: Annotated[str, typer.Option(help="What --model will call it.")] = "default",
    output: Annotated[Path, typer.Option(help="Folder to write NAME.safetensors and NAME.onnx into.")] = Path(
        "restore/weights"
    ),
    temperature: Annotated[float | None, typer.Option(help="T of the annealed mean.")] = None,
    rebalance: Annotated[float | None, typer.Option(help="u: 0 vivid, 1 natural.")] = None,
    vividness: Annotated[float | None, typer.Option(help="Of the colour of least cost, instead of T and u.")] = None,
    shadow: Annotated[float | None, typer.Option(help="Share of the largest L* below which vividness falls.")] = None,
    decodings: Annotated[Path | None, typer.Option(help="What train.decodings fitted, instead of all these.")] = None,
    working_size: Annotated[int | None, typer.Option(help="Size at which the model colours.")] = None,
) -> None:
    """Write the model in half precision, for PyTorch and for ONNX Runtime."""
    model, info = load_checkpoint(find_checkpoint(run))
    head = model.config.head
    head = replace(
        head,
        temperature=head.temperature if temperature is None else temperature,
        rebalance=head.rebalance if rebalance is None else rebalance,
        vividness=head.vividness if vividness is None else vividness,
        shadow=head.shadow if shadow is None else shadow,
        decodings=head.decodings if decodings is None else json.loads(decodings.read_text()),
    )
    size = working_size or model.config.working_size
    model.config = replace(model.config, head=head, working_size=size)
    path = output / f"{name}.safetensors"
    save_checkpoint(path, model, CheckpointInfo(name, licence, info.training), half=True)
    exported = path.with_suffix(".onnx")
    export_onnx(path, exported, half=True)
    for written in (path, exported):
        typer.echo(f"wrote {written}, {written.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    typer.run(publish)
