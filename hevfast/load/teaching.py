"""What `--help` says: examples first."""

EXIT_STATUS = """\b
EXIT STATUS
  0    measured, and every --require is met
  1    measured, and a requirement is not met
  2    the command line makes no sense
  3    refused: the load tool itself was late or out of processor time, so the figures would be
       its own; the message says what to change
  4    the target cannot be reached or is not fit for the scenario
  130  ended by Ctrl-C; the partial result was written and says that it is one"""

HELP = f"""Offer a server a known load and see what becomes of it.

Requests are sent on a schedule that is fixed beforehand, and latency counts from when each was
due: a server that stalls does not slow the load down, and its stalls show in the percentiles
(no coordinated omission). Answers are checked; a fast wrong one is an error.

\b
EXAMPLES
  hevfast dev                                                    # something to measure
  hevfast load http://127.0.0.1:8080 --scenario fetch --rate 1000 --html report.html
  hevfast load http://127.0.0.1:8080 --scenario write --rows 100 --rates 50,100,200,400
  hevfast load http://127.0.0.1:8080 --scenario mixed --mix write=20,fetch=70,query=10
  hevfast load http://127.0.0.1:8080 --scenario claim --require 'p99<50ms' --require 'errors<0.1%'
  hevfast load http://127.0.0.1:8080 --scenario fetch --closed --connections 64    # saturation
  hevfast load compare before.json after.json --html difference.html

`hevfast load URL` is short for `hevfast load run URL`; `hevfast load run --help` explains all of
its options.

{EXIT_STATUS}
"""

RUN_HELP = f"""Measure the server at URL.

\b
SCENARIOS (what one arrival does)
  write        upserts --rows rows of --dim floats and --text-bytes of text
  fetch        one document by its id, out of --keys that were written before
  batch-fetch  --batch documents by their ids
  query        the --top-k nearest neighbours of a vector
  stage        one document of --chunks chunks into a pipeline
  claim        a document's whole way: stage, claim, read chunks, heartbeat, complete
  mixed        others by weight: --mix write=20,fetch=70,query=10

Rows are written to --namespace and documents to pipelines, and stay there: use ones of their own.
They are made from --seed; equal options make equal loads.

\b
REQUIREMENTS   [OPERATION:]METRIC COMPARISON NUMBER[UNIT]
  p99<5ms  fetch:p99.9<=20ms  mean<800us  max<1s      latencies, with a unit
  errors<0.1%                                         share of arrivals
  rate>=0.99  rate>=950/s                             answered well in time: share, or a second
  hits>=95%                                           share of answers out of the cache
With several --rates each must hold at every rate.

--closed gives every connection its next request when it has its answer: the way to find the most
a server can do. Its latencies leave out whoever would have had to wait; do not compare them with
those of a rate.

{EXIT_STATUS}
"""
