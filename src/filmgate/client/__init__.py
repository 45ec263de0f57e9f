"""A typed client of the HTTP service.

    with Client("http://127.0.0.1:8321", token="fg_…") as filmgate:
        video = filmgate.upload("film.mp4")
        job = filmgate.run("episode", asset_id=video.asset_id)
        for event in filmgate.events(job.asset_id, job.run_id):
            print(event.kind, event.data)
        hit = filmgate.jump(video.asset_id, "scene", from_ms=9000)

Methods return the values that `filmgate … --json` prints. Errors of the service are raised as the
classes in `filmgate.core.errors`, which the command line also uses.
"""

from filmgate.client.client import Client
from filmgate.client.events import ServerEvent

__all__ = ["Client", "ServerEvent"]
