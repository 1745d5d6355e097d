"""The fault matrix on a cluster under load: each cell a test. cells.py is the table, README.md the explanation.

usage: test_faults.py [--set quick|rest|all] [--streams N] [--viewers N] [--list] [unittest's arguments]"""

import argparse
import os
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from cluster import cells, net, runner, stage

SETS = {"quick": lambda cell: cell.quick, "rest": lambda cell: not cell.quick, "all": lambda cell: True}


class FaultTest(unittest.TestCase):
    """One cluster for all cells; a cell that fails leaves none behind."""

    n_streams, n_viewers = stage.N_STREAMS, stage.N_VIEWERS
    stage = None

    @classmethod
    def setUpClass(cls):
        cls.net = net.open_net()

    @classmethod
    def tearDownClass(cls):
        cls.close()
        cls.net.close()

    @classmethod
    def close(cls, failed=False):
        """Ends the cluster; whatever its processes or logs have to say is a failure, too."""
        if not cls.stage:
            return
        ending, cls.stage = cls.stage, None
        if failed:
            ending.__exit__(AssertionError, None, None)
            return
        faults = ending.watch.faults()
        ending.__exit__(None, None, None)
        if faults:
            raise AssertionError("\n".join(faults))

    def run_cell(self, cell):
        if cell.needs_cables and not self.net.has_cables:
            self.skipTest("needs network namespaces")
        if not self.stage:
            type(self).stage = stage.Stage(self.net, self.n_streams, self.n_viewers).__enter__()
        run, began = runner.Run(self.stage, cell), time.monotonic()
        try:
            problems = run.go()
        except BaseException:
            self.close(failed=True)
            raise
        print("\n".join([f"{run.text()}; took {time.monotonic() - began:.0f} s", *problems]), flush=True)
        if problems:
            self.close(failed=True)
            self.fail("\n".join(problems))


def add_tests(chosen):
    """test_01_origin_kill_9 and so on, in the order of the table."""
    for i, cell in enumerate(chosen, 1):
        words = "_".join(re.findall("[a-zA-Z0-9]+", cell.name.replace("-", "")))
        setattr(FaultTest, f"test_{i:02}_{words}", lambda self, cell=cell: self.run_cell(cell))


def show_matrix():
    for cell in cells.CELLS:
        print(f"{cell.what:24} {cell.how:8} {'quick' if cell.quick else ''}")
    for what, hows, why in cells.LEFT_OUT:
        print(f"left out: {what}, {', '.join(hows)}: {why}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=SETS, default="all")
    parser.add_argument("--streams", type=int, default=stage.N_STREAMS)
    parser.add_argument("--viewers", type=int, default=stage.N_VIEWERS)
    parser.add_argument("--list", action="store_true", help="the matrix, and what is left out")
    args, rest = parser.parse_known_args()
    if args.list:
        return show_matrix()
    FaultTest.n_streams, FaultTest.n_viewers = args.streams, args.viewers
    add_tests([cell for cell in cells.CELLS if SETS[args.set](cell)])
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
