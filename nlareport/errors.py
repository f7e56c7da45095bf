"""Error classes of nlareport, one for every reason to refuse, each named like a sentence.

A message says what is wrong, with which thing, and what to do next. The command line turns it into one line and an exit
code.
"""


class NlareportError(Exception):
    """The root of every error nlareport raises on purpose."""


class ExperimentInvalid(NlareportError):
    """The experiment file has faults; all of them are in the message, one a line."""


class CheckpointMissing(NlareportError):
    """A checkpoint directory or one of the files its contract requires is not there."""


class CheckpointInvalid(NlareportError):
    """A sidecar does not say what the contract requires."""


class CheckpointDamaged(NlareportError):
    """A file of a checkpoint is truncated, empty, of wrong types, or points elsewhere."""


class CheckpointDrift(NlareportError):
    """A sidecar and the live tokenizer or model disagree."""


class ChatTemplateFails(NlareportError):
    """A chat template does not render: it raises, is not written in Jinja, or does not end."""


class QuantizationUnsupported(NlareportError):
    """A checkpoint is quantized in a way that cannot be opened here."""


class AdapterUnsupported(NlareportError):
    """An adapter is of a kind that cannot be merged exactly into its base model."""


class FamilyUnsupported(NlareportError):
    """A model is of a family whose blocks cannot be read, or in which a vector cannot take a token's place."""


class BlockUnproven(NlareportError):
    """What is read of a model is not what its block gives in the whole model."""


class ContextTooShort(NlareportError):
    """A model is asked to read or write beyond the context it was made for."""


class MemoryTooSmall(NlareportError):
    """A model, or one item of a batch, does not fit into the memory of its device."""


class CheckpointChanged(NlareportError):
    """A checkpoint is no longer the one that a run was begun with."""


class VectorsOfAnotherMaking(NlareportError):
    """Vectors in a run's folder were made by other checkpoints or with other settings than the run's."""


class NonFiniteWeights(NlareportError):
    """A model, its value head, or what they returned holds a NaN or an infinity."""


class NonFiniteVector(NlareportError):
    """An activation holds a NaN or an infinity."""


class SelfTestFailed(NlareportError):
    """A quick test of a model says that its numbers would be wrong."""


class NothingToAlign(NlareportError):
    """A tokenization holds no token of text, so no item can be found in it."""


class EngineUnknown(NlareportError):
    """No engine is called this."""


class EngineUnfit(NlareportError):
    """An engine cannot do what it is chosen for: it does not answer that role, or asks no server."""


class ExecutorUnknown(NlareportError):
    """No executor is called this."""


class DeviceMissing(NlareportError):
    """The device asked for is not in this machine."""


class CorpusUnreadable(NlareportError):
    """A corpus is not there, has no such column, or is of no known kind."""


class CorpusTooShort(NlareportError):
    """The corpus ended before the number of items asked for was reached."""


class CorpusChanged(NlareportError):
    """The corpus no longer holds a document that items were drawn from, or holds another text under its name."""


class TagUnreadable(NlareportError):
    """A column or a query that is to give a tag does not say one thing of each item, in a few words."""


class ZeroVector(NlareportError):
    """A vector of norm 0 has no direction to compare."""


class TooFewItems(NlareportError):
    """A statistic was asked of fewer items than it needs."""


class RunFileMissing(NlareportError):
    """There is no run file at this path."""


class RunFileUnreadable(NlareportError):
    """The file is not a run file, or is damaged."""


class RunFileOfAnotherVersion(NlareportError):
    """The run file was written under another schema version."""


class RunFileBusy(NlareportError):
    """Another process holds the run file open."""


class RunFileForeign(NlareportError):
    """The run file holds a view, a macro, a table or anything else that nlareport did not create."""


class RunFileForbidden(NlareportError):
    """The system does not allow opening the run file: no permission, no locks, too many open files."""


class RunFileLogRefused(NlareportError):
    """The write-ahead log of a run file belongs to another file, or is damaged."""


class TextsUnfit(NlareportError):
    """A file of texts cannot be read, contradicts itself, or speaks of no item of the run."""


class RunOfAnotherExperiment(NlareportError):
    """The run file belongs to an experiment that differs in something that was already computed."""


class QueryUnknown(NlareportError):
    """No named query is called this."""


class QueryFailed(NlareportError):
    """DuckDB refused a query; its own words are in the message."""


class PublishedFiguresInvalid(NlareportError):
    """A published-figures file has faults; all of them are in the message, one a line."""


class ClaimInvalid(NlareportError):
    """A claim's YAML file has faults; all of them are in the message, one a line."""


class BundleInvalid(NlareportError):
    """A bundle lacks a file or column it must have, or contradicts itself."""


class RunIncomplete(NlareportError):
    """The run file has no finished stage to show."""


class GoldenInvalid(NlareportError):
    """A golden file or transcript has faults, or is of another pair; all of them are in the message, one a line."""


class PairUnknown(NlareportError):
    """No pocket pair, or no pair of the experiment, is called this."""


class PairNotRecorded(NlareportError):
    """The recorded run holds no scores of a pair that is to be compared with them."""


class ItemsMoved(NlareportError):
    """The experiment no longer draws the places a run was recorded at."""


class NothingToCompare(NlareportError):
    """Two runs have no cell in common."""


class PairsDisagree(NlareportError):
    """Pairs measured again do not score as their recorded run says."""


class ProseUnreadable(NlareportError):
    """A page whose numbers are to be looked up cannot be read as text."""


class ExtraMissing(NlareportError):
    """A library that only an optional part needs is not installed."""


class DownloadFailed(NlareportError):
    """A package that carries a base model or the text could not be fetched or was not what was expected."""


class FileUnwritable(NlareportError):
    """A file or folder cannot be written: no permission, no space, something else under its name."""


class FolderOfOthers(NlareportError):
    """A folder to write into holds files that nlareport did not write, or that were changed since."""


class RunFileUnwritable(FileUnwritable):
    """The run file cannot be written: no permission, no such folder, no space."""


class RunFileTaken(NlareportError):
    """There is already a run file with other content where an import should go."""


class RowRefused(NlareportError):
    """A row breaks a rule of its table: its key is there already, a value is missing or not finite."""


class ActivationsDamaged(NlareportError):
    """A Parquet file of a run is not what was written, or has other columns than it should."""


class ActivationsUnreadable(NlareportError):
    """A Parquet file of a run may be sound, but disk, permissions or memory prevent reading it."""


class SiteBroken(NlareportError):
    """The site could not be built as a whole; mkdocs named the fault."""


class PortUnusable(NlareportError):
    """The port of a preview is taken, or this user may not use it."""


class PathUnreachable(NlareportError):
    """The system does not even say what is at a path."""


class MapInvalid(NlareportError):
    """A map of results made elsewhere is missing or has faults; all of them are in the message, one a line."""


class ResultsUnreadable(NlareportError):
    """Results made elsewhere are not there, are damaged, or are not in the layout that a map says."""
