"""The operators on a CUDA device, by Triton; on a CPU in Triton's interpreter, to test them.

* ``weigh``: exponentials and gold scores.
* ``scaled``: the recursion in scaled probabilities; ``tiled``: for many tags; ``scan``: for long sequences.
* ``log_space``: the one in logarithms, for transitions of each position, for unknown tags, and for the
  sequences whose range of scores is too wide for the former, as the device finds out by itself.
* ``counts``: what ends the passes: log space where it must be, counts of moves, the mean.
* ``viterbi``: the best path.
* ``forward_backward``: the launches of all but the last.

Nothing here waits for the device; no sum depends on the order in which programs run.
"""

from .forward_backward import loss, reduced_loss, weighted
from .tiles import MOST_TAGS
from .viterbi import viterbi

__all__ = ["MOST_TAGS", "loss", "reduced_loss", "viterbi", "weighted"]
