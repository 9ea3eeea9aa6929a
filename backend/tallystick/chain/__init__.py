"""Access to the chain. Imports web3 in the one way that leaves the interpreter as it was."""

import sys

_limit = sys.getrecursionlimit()
# py_ecc, far below eth_account, raises the recursion limit to 100,000. Under that, JSON which nests deep enough (a node's
# answer is enough) ends the process with a segmentation fault rather than with an exception. Nothing here needs it.
import eth_account  # noqa: E402, F401

sys.setrecursionlimit(_limit)
