"""``moopim devices``: the devices of the 3-D stack's PEs, and the figures of one with their sources."""

from typing import Annotated, Any

import typer

from moopim.messages import table_lines

app = typer.Typer(help="List the devices that PEs of the 3-D stack are made of.", add_completion=False)

_COLUMNS = ("letter", "name", "read", "noise", "back-propagation", "storage of a PE", "variants")
_BEHAVIOUR = ("name", "read", "noise", "serves_back_propagation", "variant")


@app.callback(invoke_without_command=True)
def devices(context: typer.Context) -> None:
    """List the devices that PEs of the 3-D stack are made of."""
    from moopim.hardware.stack.devices import built_in_devices, load_devices

    if context.invoked_subcommand:
        return
    rows = [_COLUMNS]
    for device in load_devices(",".join(built_in_devices())):
        bits = device.rows * device.columns * device.bits_per_cell * device.arrays_per_pe
        storage = f"{bits / 1e6:.2f} Mbit" if device.read != "macs" else "-"
        serves = "yes" if device.serves_back_propagation else "no"
        variants = ", ".join(built_in_devices()[device.letter].get("variants", {})) or "-"
        rows.append((device.letter, device.name, device.read, device.noise, serves, storage, variants))
    typer.echo("\n".join(table_lines(rows)))
    typer.echo("\nmoopim devices show NAME, NAME:VARIANT or FILE.toml prints figures and sources")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Letter or name, NAME:VARIANT, or FILE.toml.")]) -> None:
    """Print the figures of a device with their units and sources."""
    from moopim.hardware.stack.devices import device_tables, load_devices

    load_devices(name)  # says what is wrong with a file of one's own
    for letter, table in device_tables(name).items():
        _print_device(letter, table)


def _print_device(letter: str, table: dict[str, Any]) -> None:
    from moopim.constants import constant

    typer.echo(f"{letter}: " + ", ".join(f"{key} {table[key]}" for key in _BEHAVIOUR if key in table))
    rows: list[tuple[str, ...]] = [("figure", "value", "unit", "kind", "source")]
    for key, entry in table.items():
        if isinstance(entry, dict) and key != "variants":
            rows.append((key, f"{constant(key, entry):g}", entry["unit"], entry["kind"], entry["source"]))
        elif key not in (*_BEHAVIOUR, "variants"):
            rows.append((key, f"{entry:g}", "", "", "no source given"))
    typer.echo("\n".join(table_lines(rows)))
    if table.get("variants"):
        typer.echo(f"variants: {', '.join(table['variants'])}")
