"""``gramr2 serve``: a judge over HTTP."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from gramr2.cli.addresses import Host, Insecure, ready_to_listen, server_names
from gramr2.cli.console import say, set_up_logging, stderr
from gramr2.cli.opening import Writer, asks, open_served
from gramr2.errors import ConfigError
from gramr2.loading import JudgeOptions


@asks
def serve(
    model: Writer,
    how: JudgeOptions,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None, typer.Option("--token", envvar="GRAMR2_TOKEN", help="Bearer token that requests must carry.")
    ] = None,
    insecure: Insecure = False,
    queue: Annotated[
        int,
        typer.Option("--queue", min=1, help="A request is accepted while fewer comparisons would be judged before it."),
    ] = 512,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Maximum number of comparisons judged together.")] = 32,
    requests: Annotated[int, typer.Option("--requests", min=1, help="Maximum number of concurrent requests.")] = 128,
    connections: Annotated[
        int | None,
        typer.Option(
            "--connections", min=1, help="Maximum number of open connections; default: 1024, or twice --requests."
        ),
    ] = None,
    trusted_host: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-host",
            help="Name that requests may call the server by; repeatable. Default: on a loopback address without a token, only "
            "those of this machine; otherwise any.",
        ),
    ] = None,
    deadline: Annotated[
        float, typer.Option("--deadline", min=0.001, max=86_400, help="Time limit of a request, in seconds.")
    ] = 120,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Largest body of a request, in bytes.")] = 4
    << 20,
    end_token: Annotated[
        list[str] | None,
        typer.Option(
            "--end-token",
            help="Text to strip from the end of OpenRLHF's completions, such as '<|im_end|>'; repeatable.",
        ),
    ] = None,
) -> None:
    """Serve a judge: a page at /, its own shapes and those of OpenAI, Cohere, Jina, vLLM and OpenRLHF: see its /docs."""
    set_up_logging(quiet=False)
    ready_to_listen("gramr2 serve", host, token, insecure)
    if "" in (end_token or ()):
        raise ConfigError("an --end-token is empty: give the text, such as '<|im_end|>', or leave it out")
    import uvicorn

    from gramr2.serving.app import create_app
    from gramr2.serving.connections import (
        ACCEPTED,
        BoundedServer,
        ConnectionLimits,
        bounded_protocol,
        descriptors_for,
    )
    from gramr2.serving.logs import bound_logs
    from gramr2.serving.metrics import Metrics
    from gramr2.serving.middleware import ServerLimits
    from gramr2.serving.model import Model, Served
    from gramr2.web.app import with_page

    metrics = Metrics()

    def measured(size: int, seconds: float) -> None:
        metrics.batches.observe(size)
        metrics.seconds.observe(seconds)

    def load() -> Served:
        judge = open_served(model, how)
        # What is here now stays: without this the collector visits all of it again for every large body that is read.
        gc.collect()
        gc.freeze()
        say(f"ready: {judge.id}", to=stderr)
        return judge

    def stop() -> None:
        server.should_exit = True

    worker = Model(load, capacity=queue, batch=batch, on_batch=measured, on_failure=stop)
    limits = ServerLimits(max_requests=requests, max_bytes=max_bytes, deadline=deadline)
    app = create_app(
        worker,
        limits=limits,
        token=token,
        metrics=metrics,
        end_tokens=end_token or (),
        hosts=server_names(host, token, trusted_host or ()),
    )
    with_page(app, worker, limits, trusted=trusted_host or ())
    places = descriptors_for(connections or max(1024, 2 * requests))
    settings = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=bounded_protocol(ConnectionLimits(places)),
        ws="none",
        backlog=ACCEPTED,
        log_level="warning",
        timeout_graceful_shutdown=round(deadline) + 1,
    )
    bound_logs()
    server = BoundedServer(settings)
    bound = settings.bind_socket()
    say(f"listening on http://{host}:{bound.getsockname()[1]}", to=stderr)
    server.run(sockets=[bound])
    if worker.failure is not None:
        raise worker.failure
