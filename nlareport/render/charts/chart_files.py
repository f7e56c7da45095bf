"""The report's drawings as files to take away: SVG, and PNG at twice its size.

Takes the matrix and what changed texts score; writes files in ``downloads/charts/`` and returns where they are.
"""

import vl_convert

from nlareport.render.charts.ablation_chart import cut_file
from nlareport.render.charts.interval_chart import interval_file
from nlareport.render.charts.matrix_chart import matrix_file
from nlareport.render.report.ablation_tables import Ablations, cut_points
from nlareport.render.report.query_rows import MatrixCell
from nlareport.render.report_folder import ReportFolder

PNG_SCALE = 2.0


def write_charts(folder: ReportFolder, cells: list[MatrixCell], ablations: Ablations) -> dict[str, list[str]]:
    """The files of each drawing, from the report's root; none of a drawing the run has no value for."""
    drawings = {
        "matrix": matrix_file(cells, folder.run.title),
        "intervals": interval_file(cells, folder.run.title),
        "cuts": cut_file(cut_points(ablations.answer.rows), folder.run.title),
    }
    return {name: [] if svg is None else _write(folder, name, svg) for name, svg in drawings.items()}


def _write(folder: ReportFolder, name: str, svg: str) -> list[str]:
    hrefs = [f"downloads/charts/{name}.{ending}" for ending in ("svg", "png")]
    folder.file(hrefs[0], svg)
    folder.file(hrefs[1], vl_convert.svg_to_png(svg, scale=PNG_SCALE))
    return hrefs
