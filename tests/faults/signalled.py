"""signalled.py SIGNAL COUNT DELAY ...: the command `translate ...`, which sends itself a signal DELAY seconds after its
COUNT-th visible file appeared, as nobody else is sure to be in time on a busy machine."""

import os
import signal
import sys
import threading

from translate.cli import main

number, count, delay = signal.Signals[sys.argv[1]], int(sys.argv[2]), float(sys.argv[3])
replace, appeared = os.replace, []


def counting(*names: object) -> None:
    replace(*names)
    if os.path.basename(os.fspath(names[-1])).startswith("."):
        return  # the mark of the folder is no translation
    appeared.append(names)
    if len(appeared) == count and delay:
        threading.Timer(delay, os.kill, (os.getpid(), number)).start()
    elif len(appeared) == count:
        os.kill(os.getpid(), number)


os.replace = counting
main(sys.argv[4:])
