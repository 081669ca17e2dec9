"""What one writes first: a FastAPI application with one forward pass a request.

python benchmarks/naive_server.py MODEL PORT
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from chaincrf.tagging import Tagger

tagger = Tagger.load(sys.argv[1])
app = FastAPI()


class Body(BaseModel):
    text: str


@app.post("/v1/tag")
def tag(body: Body) -> dict[str, Any]:
    return {"results": [tagger.tag(body.text).to_json()]}


if __name__ == "__main__":
    torch.set_num_threads(1)  # with more they wait for each other: a naive server would be slower still
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", access_log=False)
