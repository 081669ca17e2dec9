"""Make docs/images/trellis.png: the trellis of the page, as a browser shows it.

    python scripts/trellis_picture.py MODEL

It needs the extra `serve`, Playwright, and Chromium (CHROMIUM says where, if not /usr/bin/chromium).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

PORT = 8765
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "trellis.png"


def main() -> None:
    """Serve the model, open the page, and take the picture."""
    server = subprocess.Popen([sys.executable, "-m", "chaincrf", "serve", sys.argv[1], "--port", str(PORT)])
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        with sync_playwright() as driver:
            chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
            arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = driver.chromium.launch(executable_path=chromium, args=arguments)
            page = browser.new_page(viewport={"width": 1260, "height": 900}, reduced_motion="reduce")
            page.goto(f"http://127.0.0.1:{PORT}/")
            page.locator("#trellis[aria-busy=false]").wait_for()
            page.locator("#trellis-section").screenshot(path=PICTURE)
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
