"""`sdtps init`: an adapter to start from and a test file, in a third party's project."""

from pathlib import Path

from sdtps_ref.command_line.command import argument, command
from sdtps_ref.command_line.types import FILE
from sdtps_ref.errors import SDTPSError
from sdtps_ref.output_files import write_new

ADAPTER = '''\
"""How sdtps makes the parts of this project's SDTPS: `sdtps certify sdtps_adapter.py:Mine`.

Fill in what there is: a law that needs a missing method is skipped by name. Nothing of sdtps need be imported.
B batch, N tokens, K kept tokens, C channels, M slots (aggregated tokens).

Return an nn.Module wherever you can: it is then moved to the case's dtype and device, and switched between
train and eval mode. Randomness stays yours; sdtps seeds torch's global generators before a call.
"""

# from my_model import TokenAggregation, TokenSparse


class Mine:
    name = "mine"

    def selector(self, *, dim, num_tokens, keep, tau):
        """f(tokens B N C, score B N) -> an object with these attributes:

        selected_tokens    B K C  the kept tokens
        decision           B N    D: forward exactly 0 or 1, backward the softmax
        keep_indices       B K    int64; or None
        selected_decision  B K    D at the kept tokens; or None
        extra_token        B 1 C  the dropped tokens, pooled; or None

        If your module keeps a ratio of the tokens, give it one at which it keeps `keep` of `num_tokens`. If it
        returns a tuple, wrap it in a module whose forward puts the parts into a types.SimpleNamespace.
        """
        raise NotImplementedError("selector is not written yet")

    # Take the comment off what you have; aggregator, pipeline and model bring the certificate to its level "full".

    # def aggregator(self, *, dim, slots):
    #     """f(tokens B K C, decision B K or None) -> B M C. D masks the logits before the softmax."""
    #     raise NotImplementedError("aggregator is not written yet")

    # def pipeline(self, *, dim, num_tokens, keep, slots, tau):
    #     """f(tokens B N C, score B N) -> B M C: your own wiring, which alone shows that D is passed on.

    #     Without the extra token. Call the code that your model runs rather than writing it anew here.
    #     """
    #     raise NotImplementedError("pipeline is not written yet")

    # def multimodal(self, *, dim, num_tokens, keep, slots, tau, modalities):
    #     """f({name: tokens B N C}, {name: global feature B C}) -> {name: B M+1 C}, the extra token last."""
    #     raise NotImplementedError("multimodal is not written yet")

    # def branches(self, *, dim, num_tokens, keep, slots, tau):
    #     """f(tokens B N C, score_sparse B N, score_dense B N) -> B M C: equation 4, a D and an aggregation a text."""
    #     raise NotImplementedError("branches is not written yet")

    # def model(self, *, dim, num_tokens, keep, slots, tau):
    #     """(module, {argument: tensor}): the module as its users call it, the score built inside.

    #     For instance: return MyModel(dim, keep / num_tokens, tau), {"tokens": torch.randn(4, num_tokens, dim), ...}
    #     """
    #     raise NotImplementedError("model is not written yet")
'''

TESTS = '''\
"""Every law of SDTPS on this project's code: one law, one test. `sdtps explain LAW` tells what one claims."""

from sdtps_adapter import Mine
from sdtps_ref.properties import parametrize_with_laws


@parametrize_with_laws([Mine()])  # profile="ci" looks harder
def test_sdtps(implementation, law):
    law(implementation)
'''

FILES = {"sdtps_adapter.py": ADAPTER, "test_sdtps.py": TESTS}


class AlreadyThere(SDTPSError):
    """A file that `init` would write exists; nothing was written."""


def write_example(file: Path) -> Path:
    """Write `sdtps_example.py` with the call that trial found for the file. Raises SDTPSError."""
    from sdtps_ref.properties.targets.from_call import from_file
    from sdtps_ref.properties.targets.loading import load_module

    found = from_file(load_module(str(file), str(file)), str(file))
    if found.subject.recipe is None:
        raise SDTPSError(f"given {file}, whose example is a closure already; accepted: a file of classes")
    text = f'"""One call, as `sdtps certify sdtps_example.py:example` judges it."""\n\n{found.subject.recipe.example()}'
    path = Path("sdtps_example.py")
    try:
        write_new(path, text)
    except OSError as error:
        raise SDTPSError(f"{path} was not written: {error.strerror}; accepted: a folder without it") from error
    return path


def write_beginning(folder: Path) -> list[Path]:
    """Write FILES into `folder`, which is made if need be. Raises AlreadyThere, and then writes none of them."""
    if folder.exists() and not folder.is_dir():
        raise AlreadyThere(f"given {folder}, which is a file; accepted: a folder")
    present = [str(folder / name) for name in FILES if (folder / name).exists()]
    if present:
        raise AlreadyThere(f"{' and '.join(present)} exist already, so nothing was written; accepted: another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        write_new(folder / name, text)  # not even a file that was made a moment ago is overwritten
    return [folder / name for name in FILES]


@command()
@argument(
    "folder",
    required=False,
    default=".",
    type=FILE,
    metavar="[DIR|FILE.py]",
    description="where (default: here), or a file whose call is to be written down as an example",
)
def init(folder: Path) -> int:
    """Write an adapter to start from, and a test file, into a project; of FILE.py, an example of one call of it.

    Overwrites nothing; exit 2 if it would.
    """
    if folder.suffix == ".py":
        example = write_example(folder)
        print(f"wrote {example}: put your own sizes and inputs there")
        print(f"next: sdtps certify {example}:example")
        return 0
    adapter, tests = write_beginning(folder)
    print(f"wrote {adapter}: fill in the methods that you have")
    print(f"wrote {tests}: the laws as tests of your project")
    print(f"next: sdtps certify {adapter}:Mine")
    return 0
