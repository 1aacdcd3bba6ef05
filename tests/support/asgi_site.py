"""A site of Starlette for tests with a real server: ``python asgi_site.py WORKERS`` serves it and tells its port.

Its sessions are as the environment says. ``/gate/NAME`` waits for a file of that name in the folder ``GATES``.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

import uvicorn
from sessionbag import AsyncManagerFactory
from sessionbag.asgi import SessionMiddleware
from sessionbag.starlette import get_session
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect
from uvicorn.supervisors import Multiprocess

GATES = Path(os.environ.get("GATES", "."))


async def opened(gate):
    """Wait for the test to open a gate."""
    while not (GATES / gate).exists():  # noqa: ASYNC110  # the test is another process
        await asyncio.sleep(0.01)


def pass_by(gate):
    """Tell the test that the request came this far."""
    (GATES / gate).touch()


async def count(request):
    session = await get_session(request)
    return JSONResponse([session.modify("visits", lambda visits: visits + 1, 0), os.getpid()])


async def show(request):
    session = await get_session(request)
    return JSONResponse(dict(session))


async def log_in(request):
    session = await get_session(request)
    await session.regenerate_id()
    session["user"] = "ada"
    return JSONResponse("hello")


async def log_out(request):
    session = await get_session(request)
    await session.destroy()
    return JSONResponse("bye")


async def untouched(request):
    return JSONResponse("hello")


async def stream(request):
    """Send pieces, as many and as long as the client asks for, and note each in the session."""
    session = await get_session(request)
    session["pieces"] = 0
    pass_by("streaming")

    async def pieces():
        for number in range(1, int(request.query_params["count"]) + 1):
            session["pieces"] = number
            yield b"x" * int(request.query_params["size"])
            await asyncio.sleep(0)  # or else the server would not hear that the client hung up

    return StreamingResponse(pieces())


async def later(request):
    """Answer, and go on in the background."""
    session = await get_session(request)
    session["later"] = "begun"

    async def go_on():
        await opened("later")
        session["later"] = "done"
        await session.save()
        pass_by("saved")

    return JSONResponse("soon", background=BackgroundTask(go_on))


async def hang(request):
    """Change the session, and never answer."""
    session = await get_session(request)
    session["hung"] = True
    pass_by("hanging")
    await opened("never")


async def talk(websocket):
    session = await get_session(websocket)
    session["calls"] = session.get("calls", 0) + 1
    await websocket.accept()
    try:
        while True:
            match await websocket.receive_text():
                case "save":
                    await session.save()
                    await websocket.send_json("saved")
                case "reload":
                    await session.reload()
                    await websocket.send_json(dict(session))
                case "bye":
                    await websocket.close()
                    return
                case text:
                    session["said"] = text
                    await websocket.send_json("noted")
    except WebSocketDisconnect:
        pass_by("gone")


def create():
    """Make the application."""
    routes = {"/": count, "/show": show, "/login": log_in, "/logout": log_out, "/untouched": untouched}
    routes |= {"/stream": stream, "/later": later, "/hang": hang}
    app = Starlette(routes=[*(Route(path, view) for path, view in routes.items()), WebSocketRoute("/talk", talk)])
    app.add_middleware(SessionMiddleware, factory=AsyncManagerFactory.from_env())
    return app


def main():
    """Serve until the process is told to end; the requests that are left then are cancelled after a second."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            "asgi_site:create", factory=True, workers=int(sys.argv[1]), timeout_graceful_shutdown=1, log_level="error"
        )
        print(listening.getsockname()[1], flush=True)  # noqa: T201  # the test reads it
        if config.workers > 1:
            Multiprocess(config, sockets=[listening]).run()
        else:
            uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
