"""The grid of chapter 06: in processes against one after another, its own overhead, and its masks against a loop.

Axes: n images of 32 x 32 pixels. Ratios compare times of this very run. On two cores the targets are 1.8, 1.1 and 20.
Where there is a GPU, the trainings also run there, in step and one after another.
"""

import os
import time

import torch
from timing import medians, options

from pags import artifacts, data, machine, presets, roar, sweep

LEVELS = [i / 20 for i in range(1, 20)]


def trained(job, *, device=artifacts.CPU):
    """What the job's maker returns."""
    return job.make(job.config, *job.inputs, seed=job.seed, device=device)


def timed(job, **common):
    """The seconds that a job takes where it runs."""
    start = time.perf_counter()
    trained(job, **common)
    return time.perf_counter() - start


def seconds(jobs, executor, **common):
    """The seconds that each job takes where the executor runs it."""
    return [took for _, took in sweep.done(timed, [(job,) for job in jobs], executor=executor, **common)]


def by_quantile(x, E):
    """As in the code released with Bordt et al. 2022: a quantile for every image and every level."""
    masked = []
    for level in LEVELS:
        for image, e in zip(x, E.abs(), strict=True):
            masked.append(torch.where(e > torch.quantile(e, 1 - level), torch.zeros(()), image))
    return masked


def by_rank(x, E):
    """One sort for every image; each level is a comparison."""
    ranks = roar.ranks(E, generator=torch.Generator().manual_seed(0))
    return [roar.unmask(x, roar.kept(ranks, 1 - level, top=False)) for level in LEVELS]


def on_gpu(jobs):
    """Seconds on the GPU: in step as one, in processes, one after another; and the largest gap of the accuracies."""
    gpu = {"device": torch.device("cuda")}
    trained(jobs[0], **gpu)  # the first call pays for what is set up once
    roar.ensemble(jobs[:2], **gpu)
    start = time.perf_counter()
    alone = [trained(job, **gpu) for job in jobs]
    middle = time.perf_counter()
    together = roar.ensemble(jobs, **gpu)
    end = time.perf_counter()
    with sweep.default("cuda") as executor:
        seconds(jobs[: 2 * sweep.SHARING], executor, **gpu)  # the processes start
        start_shared = time.perf_counter()
        seconds(jobs, executor, **gpu)
        shared = time.perf_counter() - start_shared
    gap = max(abs(a["accuracy"] - b["accuracy"]) for (_, a), (_, b) in zip(alone, together, strict=True))
    return end - middle, shared, middle - start, gap


def main() -> None:
    """Check that both ways to mask agree where nothing is tied, then time masks and grid."""
    chosen = options(__doc__.splitlines()[0], images=500)
    P = presets.get("06_diffroar", "quick")
    sets = [data.load("strokes", split, n=n) for split, n in (("train", P.images_n), ("test", P.images_test))]
    g = torch.Generator().manual_seed(0)

    x = sets[0].x[: chosen.images]
    E = torch.randn(x.shape, generator=g)
    theirs = torch.stack(by_quantile(x[:5], E[:5])).unflatten(0, (len(LEVELS), 5))
    differ = (theirs != torch.stack(by_rank(x[:5], E[:5]))).flatten(2).sum(2)
    assert differ.max() <= 1, "a quantile rounds its count in another way, and by no more than one pixel"
    found = medians({"ranks": lambda: by_rank(x, E), "loop": lambda: by_quantile(x, E)}, repeats=chosen.repeats)
    print(f"masks of {len(x)} images at {len(LEVELS)} levels: {found['ranks']:.3f} s, ", end="")
    print(f"a loop of quantiles takes {found['loop'] / found['ranks']:.0f} times as long")

    E = {part.split: torch.randn(part.x.shape, generator=g) for part in sets}
    order = roar.order(E, generator=g)
    grid = [(share, top, r) for share in P.shares for top in (True, False) for r in range(3)]
    jobs = [
        sweep.Job(roar.fit, roar.Retrain(P.retrained, share, top=top), *sets, order, seed=roar.retraining_seed(0, r))
        for share, top, r in grid
    ]
    workers = machine.cores()
    with sweep.Processes(workers) as executor:
        seconds(jobs[:workers], executor)  # the processes start once for a whole chapter
        start = time.perf_counter()
        own = seconds(jobs, executor)
        together = time.perf_counter() - start
    start = time.perf_counter()
    for job in jobs:
        timed(job)
    alone = time.perf_counter() - start
    print(f"{len(jobs)} trainings: {together:.1f} s in {workers} processes of one thread, ", end="")
    print(f"{alone / together:.2f} times as long one after another with {torch.get_num_threads()} threads")
    print(f"overhead: {together * workers / sum(own):.3f} times the jobs' own time, shared by {workers} processes")
    if torch.cuda.is_available():
        together, shared, alone, gap = on_gpu(jobs)
        print(f"{len(jobs)} trainings on {torch.cuda.get_device_name()}: {together:.1f} s in step, ", end="")
        print(f"{alone / together:.1f} times as long one after another; accuracies differ by {gap:.3f} at most")
        print(f"{shared:.1f} s in {sweep.SHARING} processes, {alone / shared:.1f} times as long one after another")


if __name__ == "__main__":
    os.environ.setdefault("PAGS_PROGRESS", os.devnull)
    main()
