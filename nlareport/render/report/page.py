"""Writes one run's report as a folder of static files: asks every named query, fills the templates, writes the pages.

Takes a reader and a folder; writes ``index.html`` and what it links to. The same run file gives the same bytes.
"""

from dataclasses import dataclass, fields
from pathlib import Path

from markupsafe import Markup

from nlareport.claims.reading import OTHERWISE, claim_templates, read_claims
from nlareport.errors import RunIncomplete
from nlareport.files.written_folders import WrittenFolder
from nlareport.ports import PublicCopy, RunReader
from nlareport.render.charts.chart_files import write_charts
from nlareport.render.charts.interval_chart import interval_chart
from nlareport.render.origins import Answer, Origin, ask
from nlareport.render.pages.item_pages import read_item_pages
from nlareport.render.pages.sample_browser import render_browser
from nlareport.render.pages.sql_console import add_console
from nlareport.render.report import query_rows
from nlareport.render.report.ablation_tables import Ablations, read_ablations
from nlareport.render.report.baseline_tables import Baselines, read_baselines
from nlareport.render.report.downloads import add_downloads, add_query_answers, origins_in
from nlareport.render.report.draw_tables import Draws, read_draws
from nlareport.render.report.heat_views import Heat, read_heat
from nlareport.render.report.imported_figures import ImportedFigures, read_imported_figures
from nlareport.render.report.measure_tables import Measures, read_measures
from nlareport.render.report.note_answers import NoteAnswers, read_notes
from nlareport.render.report.protocol_strip import Fact, answer_rule, read_protocol, unclean_choice
from nlareport.render.report.released_variance import Variances, read_variances
from nlareport.render.report.sample_cards import Samples, read_samples
from nlareport.render.report.text_looks import TextLooks, read_text_looks
from nlareport.render.report_folder import SECTIONS, ReportFolder, SitePlace
from nlareport.rows.run_rows import Claim, Pair


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Everything the page shows; each answer knows the query it came from."""

    head: Answer[query_rows.RunHead]
    counts: Answer[query_rows.Counts]
    hero: Answer[query_rows.HeroCell]
    protocol: list[Fact]
    imported: ImportedFigures
    answer_rule: str
    unclean_choice: str | None
    pairs: Answer[Pair]
    heat: Heat
    charts: dict[str, Markup | None]
    """The same drawing for wide and for narrow windows."""
    variances: Variances
    ceilings: Answer[query_rows.TargetCeiling]
    effects: Answer[query_rows.SourceEffect]
    subsets: Answer[query_rows.SubsetRow]
    subset_sizes: Answer[query_rows.SubsetSize]
    tails: Answer[query_rows.LabelledCell]
    baselines: Baselines
    ablations: Ablations
    measures: Measures
    draws: Draws | None
    """None where no item has several explanations by one source."""
    lead: list[tuple[Claim, Origin]]
    """Sentences for the top of the page. Only those that hold, here and below."""
    claims: list[tuple[Claim, Origin]]
    samples: Samples
    texts: TextLooks
    notes: NoteAnswers
    """Templates know its answers by their own names."""


def render_report(
    reader: RunReader, place: WrittenFolder, copy: PublicCopy | None = None, site: SitePlace | None = None
) -> Path:
    """Where the page will stand, written with all it links to into the folder `place`.

    With the run's `copy`, whose files were made in the folder's downloads, readers can take the run away and query it.
    `site` is the one the report belongs to, if any.

    Raises:
        RunIncomplete: the file holds no run, or no pair.
    """
    page = read_report(reader)
    items = read_item_pages(reader)
    absent = {name for name, is_there in (("browse.html", items.item_ids), ("console.html", copy)) if not is_there}
    sections = [section for section in SECTIONS if section[0] not in absent]
    folder = ReportFolder(place, page.head.only, sections, site)
    values = {field.name: getattr(part, field.name) for part in (page, page.notes) for field in fields(part)}
    values |= {"chart_files": write_charts(folder, page.heat.all_items.rows, page.ablations), "item_pages": items}
    index = folder.page("index.html", "report/page.html", title=page.head.only.title, **values)
    n_draws = page.draws.n_draws if page.draws else 1
    render_browser(folder, reader, items, page.pairs.rows, page.texts, n_draws)
    origins = origins_in(page)
    answers = add_query_answers(folder, reader, origins)
    if copy:
        add_console(folder, reader, copy, origins)
    add_downloads(folder, answers, copy)
    return index


def read_report(reader: RunReader) -> ReportContext:
    """The answers of every query the report needs.

    Raises:
        RunIncomplete: the file holds no run, or no pair.
    """
    head, pairs = _run_and_pairs(reader)
    counts = ask(reader, query_rows.Counts, "report_counts")
    heat = read_heat(reader, counts.only)
    lead, claims = _claims_that_hold(reader)
    return ReportContext(
        head=head,
        counts=counts,
        hero=ask(reader, query_rows.HeroCell, "hero_cells"),
        protocol=read_protocol(head.only),
        imported=read_imported_figures(head.only),
        answer_rule=answer_rule(head.only),
        unclean_choice=unclean_choice(head.only),
        pairs=pairs,
        heat=heat,
        charts=_interval_charts(heat),
        variances=read_variances(reader, head.only, pairs.rows),
        ceilings=ask(reader, query_rows.TargetCeiling, "target_ceilings"),
        effects=ask(reader, query_rows.SourceEffect, "source_effects"),
        subsets=ask(reader, query_rows.SubsetRow, "subsets"),
        subset_sizes=ask(reader, query_rows.SubsetSize, "subset_sizes"),
        tails=ask(reader, query_rows.LabelledCell, "tails"),
        baselines=read_baselines(reader),
        ablations=read_ablations(reader),
        measures=read_measures(reader),
        draws=read_draws(reader),
        lead=lead,
        claims=claims,
        samples=read_samples(reader),
        texts=read_text_looks(reader),
        notes=read_notes(reader, head.only),
    )


def _run_and_pairs(reader: RunReader) -> tuple[Answer[query_rows.RunHead], Answer[Pair]]:
    head = ask(reader, query_rows.RunHead, "report_run")
    pairs = ask(reader, Pair, "pair_table")
    if not head or not pairs:
        raise RunIncomplete("names no pair yet, so there is nothing to show; run its experiment first.")
    return head, pairs


def _interval_charts(heat: Heat) -> dict[str, Markup | None]:
    """The same drawing for wide and for narrow windows."""
    widths = {"wide": 620, "narrow": 210}
    return {name: interval_chart(heat.all_items.rows, width, f"chart-{name}") for name, width in widths.items()}


def _claims_that_hold(reader: RunReader) -> tuple[list[tuple[Claim, Origin]], list[tuple[Claim, Origin]]]:
    """The sentences of the page's top, and those under Reads."""
    in_hero = {template.claim_id for template in claim_templates() if template.hero}
    lead: list[tuple[Claim, Origin]] = []
    claims: list[tuple[Claim, Origin]] = []
    for claim in read_claims(reader):
        if claim.holds:
            place = lead if claim.claim_id.removesuffix(OTHERWISE) in in_hero else claims
            place.append((claim, Origin(claim.query, reader.sql(claim.query).strip(), {}, 1)))
    return lead, claims
