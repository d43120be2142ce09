"""What a call finds in its process and must leave as it was: settings, generators, flags of modules and parameters.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

from typing import Any

import torch

from sdtps_ref.properties.kit.later_calls.answers import copied
from sdtps_ref.properties.kit.later_calls.disturbances import call_aside, raising
from sdtps_ref.properties.kit.values import modules_in


def torch_flags() -> dict[str, tuple[Any, str]]:
    """Torch's global flags that are attributes: the object and the attribute, by name."""
    backends = torch.backends
    flags = {
        "torch.backends.cudnn.benchmark": (backends.cudnn, "benchmark"),
        "torch.backends.cudnn.deterministic": (backends.cudnn, "deterministic"),
        "torch.backends.cudnn.enabled": (backends.cudnn, "enabled"),
        "torch.backends.cudnn.allow_tf32": (backends.cudnn, "allow_tf32"),
        "torch.backends.cuda.matmul.allow_tf32": (backends.cuda.matmul, "allow_tf32"),
        "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction": (
            backends.cuda.matmul,
            "allow_fp16_reduced_precision_reduction",
        ),
        "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction": (
            backends.cuda.matmul,
            "allow_bf16_reduced_precision_reduction",
        ),
        "torch.backends.mkldnn.enabled": (backends.mkldnn, "enabled"),
        "torch.backends.opt_einsum.enabled": (backends.opt_einsum, "enabled"),
        "torch.utils.deterministic.fill_uninitialized_memory": (
            torch.utils.deterministic,
            "fill_uninitialized_memory",
        ),
    }
    return {name: place for name, place in flags.items() if hasattr(*place)}


def switches() -> dict[str, tuple[Any, Any]]:
    """Settings with a function that reads them and one that sets them, by name."""
    device = str(torch.empty(0).device)
    cuda = torch.backends.cuda
    found = {
        "the default dtype": (torch.get_default_dtype(), torch.set_default_dtype),
        "the default device": (device, lambda was: torch.set_default_device(None if was == "cpu" else was)),
        "grad mode": (torch.is_grad_enabled(), torch.set_grad_enabled),
        "the number of threads": (torch.get_num_threads(), torch.set_num_threads),
        "the precision of matrix products": (
            torch.get_float32_matmul_precision(),
            torch.set_float32_matmul_precision,
        ),
        "anomaly detection": (torch.is_anomaly_enabled(), torch.autograd.set_detect_anomaly),
        "deterministic algorithms": (torch.get_deterministic_debug_mode(), torch.set_deterministic_debug_mode),
        "torch.set_warn_always": (torch.is_warn_always_enabled(), torch.set_warn_always),
        "autocast's cache": (torch.is_autocast_cache_enabled(), torch.set_autocast_cache_enabled),
        "flash attention": (cuda.flash_sdp_enabled(), cuda.enable_flash_sdp),
        "memory-efficient attention": (cuda.mem_efficient_sdp_enabled(), cuda.enable_mem_efficient_sdp),
        "plain attention": (cuda.math_sdp_enabled(), cuda.enable_math_sdp),
        "flushing of subnormal numbers": (float(torch.tensor(1e-40) * 1) == 0, torch.set_flush_denormal),
        "print options": (
            repr(vars(torch._tensor_str.PRINT_OPTS)),
            lambda was: torch.set_printoptions(profile="default"),
        ),
    }
    for device_type in ("cpu", "cuda"):
        found[f"autocast on {device_type}"] = (
            torch.is_autocast_enabled(device_type),
            lambda was, kind=device_type: torch.set_autocast_enabled(kind, was),
        )
        found[f"autocast's dtype on {device_type}"] = (
            torch.get_autocast_dtype(device_type),
            lambda was, kind=device_type: torch.set_autocast_dtype(kind, was),
        )
    return found


def surroundings() -> dict[str, Any]:
    """What else is everybody's: of Python and numpy, and torch's global hooks."""
    import os
    import sys
    import warnings

    import numpy

    hooks = vars(torch.nn.modules.module)
    names = [name for name in hooks if name.startswith("_global_") and isinstance(hooks[name], dict)]
    return {
        "warnings.filters": list(warnings.filters),
        "the working directory": os.getcwd(),
        "os.environ": dict(os.environ),
        "the recursion limit": sys.getrecursionlimit(),
        "numpy's error settings": numpy.geterr(),
        "sys.excepthook": sys.excepthook,
        "sys.path": list(sys.path),
        "standard output": (sys.stdout, sys.stderr),
        **{f"torch.nn's {name}": list(hooks[name].items()) for name in names},
    }


def generators() -> dict[str, Any]:
    """The states of the generators that a call may not draw from."""
    import random

    import numpy

    state: Any = numpy.random.get_state()
    return {
        "numpy's random state": (state[0], state[1].tobytes(), *state[2:]),
        "Python's random state": random.getstate(),
    }


def flags_of(built: Any) -> dict[str, Any]:
    """The mode of every module, and which parameters are trained and hold a gradient."""
    found: dict[str, Any] = {}
    for root in modules_in(built):
        found |= {f"training of module {name!r}": module.training for name, module in root.named_modules()}
        for name, parameter in root.named_parameters():
            found[f"requires_grad of parameter {name!r}"] = parameter.requires_grad
            found[f"gradient of parameter {name!r}"] = None if parameter.grad is None else parameter.grad.sum().item()
    return found


class Kept:
    """After the block torch's switches and flags, the random states, the folder and the environment are as before."""

    def __enter__(self) -> None:
        import os
        import random
        import warnings

        import numpy

        self.settings = {name: value for name, (value, _) in switches().items()}
        self.flags = {name: getattr(*place) for name, place in torch_flags().items()}
        self.drawn = numpy.random.get_state(), random.getstate()
        self.folder, self.environ = os.getcwd(), dict(os.environ)
        self.filters = warnings.catch_warnings()
        self.filters.__enter__()

    def __exit__(self, *raised: Any) -> None:
        import os
        import random

        import numpy

        self.filters.__exit__(*raised)
        for name, (value, put_back) in switches().items():
            if value != self.settings[name]:
                put_back(self.settings[name])
        for name, place in torch_flags().items():
            if getattr(*place) != self.flags[name]:
                setattr(*place, self.flags[name])
        numpy.random.set_state(self.drawn[0])
        random.setstate(self.drawn[1])
        os.chdir(self.folder)
        for name in os.environ.keys() - self.environ.keys():
            del os.environ[name]
        os.environ.update(self.environ)


def start_elsewhere(otherwise: bool) -> None:
    """Random states and filters that no call sets, as an earlier call may have left its own already; otherwise: the
    switches and flags at another value than they have, too."""
    import random
    import warnings

    import numpy

    numpy.random.seed(20111)
    random.seed(20111)
    warnings.resetwarnings()
    warnings.filterwarnings("ignore", message="(?s).*")
    turned = {
        "the number of threads",
        "the precision of matrix products",
        "torch.set_warn_always",
        "autocast's cache",
        "flash attention",
        "memory-efficient attention",
        "deterministic algorithms",
        "anomaly detection",
    }
    for name, (value, put) in switches().items() if otherwise else ():
        if name in turned:
            put("medium" if isinstance(value, str) else value + 1 if type(value) is int else not value)
    for name, place in torch_flags().items() if otherwise else ():
        if "tf32" not in name:  # of which the precision of matrix products is another name
            setattr(*place, not getattr(*place))


def left_otherwise(built: Any, arguments: list[Any], named: dict[str, Any], way: str) -> list[str]:
    """What a call leaves otherwise than it found it, in words; then all of it is put back."""
    given, given_named = copied(arguments), copied(named)
    with Kept():
        start_elsewhere(way == "from other settings")
        before = {name: value for name, (value, _) in switches().items()}
        flags = {name: getattr(*place) for name, place in torch_flags().items()}
        around, drawn, own = surroundings(), generators(), flags_of(built)
        before["grad mode"] = way != "without gradients"
        if way == "that raised":
            raising(built, given, given_named)
        else:
            # Not as a context, which would put back what the call left.
            torch.set_grad_enabled(way != "without gradients")
            call_aside(built, given, given_named)
        now, later = switches(), flags_of(built)
        after = {name: getattr(*place) for name, place in torch_flags().items()}
        found = [f"{name}: {was} before, {now[name][0]} after" for name, was in before.items() if now[name][0] != was]
        found += [f"{name}: {was} before, {after[name]} after" for name, was in flags.items() if after[name] != was]
        found += [name for name, was in around.items() if surroundings()[name] != was]
        found += [name for name, was in drawn.items() if generators()[name] != was]
        found += [
            f"{name}: {was} before, {later.get(name)} after" for name, was in own.items() if later.get(name) != was
        ]
    return found


def not_returned(built: Any) -> list[str]:
    """Which of the methods that return the module do not, and which modules a mode does not reach; in words."""
    found = []
    for module in modules_in(built):
        kind, mode = type(module).__name__, module.training
        for method in ("train", "eval", "float", "requires_grad_"):
            if method == "float" and next(module.parameters(), torch.empty(0)).dtype != torch.float32:
                continue
            returned = getattr(module, method)()
            if returned is not module:
                found.append(f"{kind}.{method}() returns {type(returned).__name__}, but should return the module")
        for wanted in (False, True, mode):
            module.train(wanted)
            unreached = [name or kind for name, part in module.named_modules() if part.training is not wanted]
            if unreached:
                found.append(f"{kind}.train({wanted}) does not reach {unreached[0]}")
    return found
