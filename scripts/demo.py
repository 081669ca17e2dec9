"""The demonstration behind ``make demo``: the commands a new user would type, one after the other."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

OUT = Path("demo")
DISEASES = """\
Mutations of the BRCA1 gene are found in families with breast and ovarian cancer.
He was diagnosed with Duchenne muscular dystrophy at the age of four.
The committee met on Tuesday and adjourned without a decision.
"""
PLAIN = "The old man the boat while their children sail paper ships.\n"


def chaincrf(*arguments: str, text: str | None = None) -> None:
    """Run a command as a user would, showing it first."""
    shown = "chaincrf " + " ".join(arguments)
    print(f"\n$ {f'printf ... | {shown}' if text else shown}", flush=True)
    subprocess.run(
        [sys.executable, "-m", "chaincrf", *arguments], input=text, text=True, encoding="utf-8", check=True
    )


def main() -> None:
    """Compare, tag, and do parts of speech with the same commands."""
    start = time.perf_counter()
    report, pos = str(OUT / "report"), str(OUT / "pos-model")
    print("Does a CRF layer pay? A BiLSTM with and without one, on disease names in PubMed abstracts.")
    arguments = ["--corpus", "ncbi-disease", "--seeds", "2", "--jobs", "2", "--epochs", "6"]
    chaincrf("compare", *arguments, "--out", report)
    print("\nThe best of these models tags raw text:")
    chaincrf("tag", f"{report}/model", text=DISEASES)
    print("\nParts of speech, with the same commands:")
    chaincrf("train", "--corpus", "ewt-pos", "--epochs", "6", "--out", pos)
    chaincrf("tag", pos, text=PLAIN)
    minutes = (time.perf_counter() - start) / 60
    print(f"\nDone in {minutes:.1f} minutes. Open {report}/report.html in a browser; then try your own data:")
    print("  . .venv/bin/activate")
    print("  chaincrf compare --train TRAIN --dev DEV --test TEST --seeds 5 --out report")
    print(f"  chaincrf tag {report}/model YOUR_TEXT.txt --json")
    print("To see what the CRF does, install the server and open http://localhost:8000/ in a browser:")
    print("  pip install -e '.[serve]'")
    print(f"  chaincrf serve disease={report}/model pos={pos}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
