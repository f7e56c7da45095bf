"""One run's report as a folder of static files: asks every named query, fills the templates, writes the pages.

Enters a reader and a folder. Leaves ``index.html`` and what it links to. The same run file gives the same bytes.
"""

from dataclasses import dataclass, fields
from pathlib import Path

from markupsafe import Markup

from nlareport.errors import RunIncomplete
from nlareport.ports import PublicCopy, RunReader
from nlareport.render import contexts
from nlareport.render.ablations import Ablations, read_ablations
from nlareport.render.answer_notes import DecodeFinish, MarkCount
from nlareport.render.answers import Answer, Origin, ask
from nlareport.render.baselines import Baselines, read_baselines
from nlareport.render.browser import render_browser
from nlareport.render.chart_files import write_charts
from nlareport.render.claims import claim_templates, read_claims
from nlareport.render.conditions import Conditions, EnvironmentFact, SelfTestRow, read_conditions
from nlareport.render.console import add_console
from nlareport.render.downloads import add_downloads, add_query_answers, origins_in
from nlareport.render.heat_views import Heat, read_heat
from nlareport.render.interval_chart import interval_chart
from nlareport.render.items import read_item_pages
from nlareport.render.measures import Measures, read_measures
from nlareport.render.protocol import Fact, answer_rule, read_protocol, unclean_choice
from nlareport.render.report_folder import SECTIONS, ReportFolder, SitePlace
from nlareport.render.samples import Samples, read_samples
from nlareport.render.variances import Variances, read_variances
from nlareport.rows import Claim, Pair
from nlareport.written_folders import WrittenFolder


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Everything the page shows; each answer knows the query it came from."""

    head: Answer[contexts.RunHead]
    counts: Answer[contexts.Counts]
    hero: Answer[contexts.HeroCell]
    protocol: list[Fact]
    answer_rule: str
    unclean_choice: str | None
    pairs: Answer[Pair]
    heat: Heat
    charts: dict[str, Markup | None]
    """The same drawing for wide and for narrow windows."""
    variances: Variances
    ceilings: Answer[contexts.TargetCeiling]
    effects: Answer[contexts.SourceEffect]
    subsets: Answer[contexts.SubsetRow]
    subset_sizes: Answer[contexts.SubsetSize]
    tails: Answer[contexts.TailRow]
    baselines: Baselines
    ablations: Ablations
    measures: Measures
    lead: list[tuple[Claim, Origin]]
    """Sentences for the top of the page. Only those that hold, here and below."""
    claims: list[tuple[Claim, Origin]]
    samples: Samples
    decodes: Answer[DecodeFinish]
    marks: Answer[MarkCount]
    explanations: Answer[contexts.ExplanationFacts]
    unscored: Answer[contexts.UnscoredReason]
    alignment: Answer[contexts.AlignmentExtremes]
    skipped: Answer[contexts.SkippedDocuments]
    conditions: Conditions
    self_tests: Answer[SelfTestRow]
    facts: Answer[EnvironmentFact]


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
    values = {field.name: getattr(page, field.name) for field in fields(page)}
    values |= {"chart_files": write_charts(folder, page.heat.all_items.rows, page.ablations), "item_pages": items}
    index = folder.page("index.html", "report/page.html", title=page.head.only.title, **values)
    render_browser(folder, reader, items, page.pairs.rows)
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
    head = ask(reader, contexts.RunHead, "report_run")
    pairs = ask(reader, Pair, "pair_table")
    if not head or not pairs:
        raise RunIncomplete("names no pair yet, so there is nothing to show; run its experiment first.")
    counts = ask(reader, contexts.Counts, "report_counts")
    heat = read_heat(reader, counts.only)
    lead, claims = _claims_that_hold(reader)
    return ReportContext(
        head=head,
        counts=counts,
        hero=ask(reader, contexts.HeroCell, "hero_cells"),
        protocol=read_protocol(head.only),
        answer_rule=answer_rule(head.only),
        unclean_choice=unclean_choice(head.only),
        pairs=pairs,
        heat=heat,
        charts={
            "wide": interval_chart(heat.all_items.rows, 620, "chart-wide"),
            "narrow": interval_chart(heat.all_items.rows, 210, "chart-narrow"),
        },
        variances=read_variances(reader, head.only, pairs.rows),
        ceilings=ask(reader, contexts.TargetCeiling, "target_ceilings"),
        effects=ask(reader, contexts.SourceEffect, "source_effects"),
        subsets=ask(reader, contexts.SubsetRow, "subsets"),
        subset_sizes=ask(reader, contexts.SubsetSize, "subset_sizes"),
        tails=ask(reader, contexts.TailRow, "tails"),
        baselines=read_baselines(reader),
        ablations=read_ablations(reader, head.only, counts.only.n_items),
        measures=read_measures(reader),
        lead=lead,
        claims=claims,
        samples=read_samples(reader),
        decodes=ask(reader, DecodeFinish, "decode_finish"),
        marks=ask(reader, MarkCount, "answer_marks"),
        explanations=ask(reader, contexts.ExplanationFacts, "explanation_facts"),
        unscored=ask(reader, contexts.UnscoredReason, "unscored_reasons"),
        alignment=ask(reader, contexts.AlignmentExtremes, "alignment_extremes"),
        skipped=ask(reader, contexts.SkippedDocuments, "skipped_documents"),
        conditions=read_conditions(reader, head.only),
        self_tests=ask(reader, SelfTestRow, "self_tests"),
        facts=ask(reader, EnvironmentFact, "environment_facts"),
    )


def _claims_that_hold(reader: RunReader) -> tuple[list[tuple[Claim, Origin]], list[tuple[Claim, Origin]]]:
    """The sentences of the page's top, and those under Reads."""
    in_hero = {template.claim_id for template in claim_templates() if template.is_in_hero}
    lead: list[tuple[Claim, Origin]] = []
    claims: list[tuple[Claim, Origin]] = []
    for claim in read_claims(reader):
        if claim.holds:
            place = lead if claim.claim_id.removesuffix(".otherwise") in in_hero else claims
            place.append((claim, Origin(claim.query, reader.sql(claim.query).strip(), {}, 1)))
    return lead, claims
