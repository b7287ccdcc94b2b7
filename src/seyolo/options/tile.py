"""Options of tiles: how large images are cut."""

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from seyolo.errors import UsageError
from seyolo.options.parameters import Flag, Size
from seyolo.sizes import InputSize, checked_size, input_text, size_hw
from seyolo.tiling.grid import Tiling

MOST_OVERLAP, LEAST_TILE_PX = 0.75, 32
_IN_GROUP = Parameter(group="Tiles")


@dataclass(frozen=True)
class TileOptions:
    """Options of tiles; `check_tiles` raises UsageError for values out of their range."""

    tile: Annotated[Flag, _IN_GROUP] = False
    """cut images that are larger than a tile into overlapping tiles, for small objects in large images."""

    tile_size: Annotated[Size, _IN_GROUP] = None
    """a tile in pixels of the image: 640, or 640x480 (width x height) [default: the network's input]."""

    tile_overlap: Annotated[float, _IN_GROUP] = 0.25
    """least part of a tile's side that neighbours share; a tile shows objects of that size whole."""

    tile_whole: Annotated[bool, _IN_GROUP] = True
    """use the whole image besides its tiles, for objects larger than a tile."""

    def tiling(self, input_size: InputSize) -> Tiling | None:
        """Returns the tiling for a network's input, None without tiles."""
        if not self.tile:
            return None
        size = size_hw(input_size if self.tile_size is None else self.tile_size)
        return Tiling(size, self.tile_overlap, self.tile_whole)


def check_tiled_data(options: TileOptions, has_data: bool) -> None:
    """Raises UsageError for tiles of a data set where there is none."""
    if options.tile and not has_data:
        raise UsageError("--tile cuts the images of a data set; give it with --data, or leave --tile out")


def check_tiles(options: Any) -> None:
    """Checks the fields of `TileOptions` of an options object that is being made."""
    given = [
        f"--{name.replace('_', '-')}" if name != "tile_whole" else "--no-tile-whole"
        for name in ("tile_size", "tile_overlap", "tile_whole")
        if getattr(options, name) != getattr(TileOptions, name)
    ]
    if given and not options.tile:
        raise UsageError(f"{given[0]} is for images cut into tiles; add --tile, or leave it out")
    if not 0 <= options.tile_overlap <= MOST_OVERLAP:
        raise UsageError(f"--tile-overlap {options.tile_overlap:g}: a number from 0 to {MOST_OVERLAP:g}")
    if options.tile_size is not None:
        size = checked_size(options.tile_size, "--tile-size")
        if min(size_hw(size)) < LEAST_TILE_PX:
            raise UsageError(
                f"--tile-size {input_text(size)}: a tile has at least {LEAST_TILE_PX} pixels a side"
            )
        object.__setattr__(options, "tile_size", size)
