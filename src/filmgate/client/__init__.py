"""A typed client of the service.

    with Client("http://127.0.0.1:8321", token="fg_…") as filmgate:
        video = filmgate.upload("film.mp4")
        job = filmgate.run("episode", asset_id=video.asset_id)
        for event in filmgate.events(job.asset_id, job.run_id):
            print(event.kind, event.data)
        hit = filmgate.jump(video.asset_id, "scene", from_ms=9000)

Answers are the same values that `filmgate … --json` prints; what the service refuses is raised as
the same errors that the command line tells (`filmgate.core.errors`).
"""

from filmgate.client.client import Client
from filmgate.client.events import Event

__all__ = ["Client", "Event"]
