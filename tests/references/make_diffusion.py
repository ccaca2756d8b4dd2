"""Writes diffusion.npz: where samplers of diffusers end, of one denoiser, and the noise levels that they went through.

    pip install -e '.[bench]'
    python tests/references/make_diffusion.py

The denoiser is that of images whose pixels are Gaussian, of mean `mean` and deviation `DEVIATION`.
"""

import itertools
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KarrasVeScheduler,
)
from diffusers.schedulers import scheduling_ddim, scheduling_ddpm
from diffusers.schedulers.deprecated import scheduling_karras_ve

DEVIATION = 0.3
STEPS = 12
SHAPE = (3, 2, 2, 1)
LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}


def main() -> None:
    generator = np.random.default_rng(0)
    arrays = {
        "mean": generator.normal(size=SHAPE[1:]),
        "start": generator.normal(size=SHAPE),
        "noise": generator.normal(size=(STEPS, *SHAPE)),
    }
    of = Reference(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    for name, betas in (("linear", LINEAR), ("cosine", COSINE)):
        schedule = {**betas, "timestep_spacing": "linspace"}
        clip = {"clip_sample": False}
        arrays |= of.scaled(f"ancestral_{name}", DDPMScheduler(**schedule, **clip))
        # The spacing whose steps are those that its step has in mind.
        even = {**betas, **clip, "timestep_spacing": "leading"}
        arrays |= of.scaled(f"ddim_{name}", DDIMScheduler(**even))
        arrays |= of.scaled(f"ddim_half_{name}", DDIMScheduler(**even), eta=0.5)
        arrays |= of.scaled(f"dpm_solver_{name}", DPMSolverMultistepScheduler(**schedule, final_sigmas_type="zero"))
    # These two compute in float32, which the largest noise level of the cosine, 20,291, is too much for.
    linear = {**LINEAR, "timestep_spacing": "linspace"}
    arrays |= of.unscaled("euler_linear", EulerDiscreteScheduler(**linear))
    arrays |= of.unscaled("heun_linear", HeunDiscreteScheduler(**linear))
    arrays |= of.edm("euler_edm", EDMEulerScheduler(sigma_data=DEVIATION))
    arrays |= of.edm("dpm_solver_edm", EDMDPMSolverMultistepScheduler(sigma_data=DEVIATION))
    arrays |= of.churned("stochastic_heun_edm", KarrasVeScheduler(s_noise=1.003, s_churn=40, s_min=0.05, s_max=50))
    arrays |= of.flow("euler_flow", FlowMatchEulerDiscreteScheduler())
    np.savez_compressed(Path(__file__).parent / "diffusion.npz", **arrays)
    print({name: array.shape for name, array in arrays.items()})


class Reference:
    """A sampler that runs a scheduler of diffusers from `start` to its end."""

    def __init__(self, mean: torch.Tensor, start: torch.Tensor, noise: torch.Tensor):
        self.mean, self.start, self.noise = mean, start, noise

    def denoised(self, x: torch.Tensor, level: float) -> torch.Tensor:
        """Return the mean of y given x = y + sigma n."""
        return (DEVIATION**2 * x + level**2 * self.mean) / (DEVIATION**2 + level**2)

    def scaled(self, name: str, scheduler, **options) -> dict[str, np.ndarray]:
        """Sample by schedulers of sqrt(a) y + sqrt(1 - a) n that are given n."""
        scheduler.set_timesteps(STEPS)
        if isinstance(scheduler, DPMSolverMultistepScheduler):
            scheduler.sigmas = scheduler.sigmas.double()
        alpha_bars = scheduler.alphas_cumprod.double()
        levels = ((1 - alpha_bars) / alpha_bars).sqrt()[scheduler.timesteps]
        scales = alpha_bars.sqrt()[scheduler.timesteps]
        noises = iter(self.noise)
        for module in (scheduling_ddpm, scheduling_ddim):
            module.randn_tensor = lambda *arguments, **keywords: next(noises)
        x = self.start * scales[0] * levels[0]
        for timestep, level, scale in zip(scheduler.timesteps, levels, scales, strict=True):
            epsilon = (x / scale - self.denoised(x / scale, level)) / level
            x = scheduler.step(epsilon, timestep, x, **options).prev_sample
        return self.result(name, x, levels)

    def unscaled(self, name: str, scheduler) -> dict[str, np.ndarray]:
        """Sample by schedulers of x itself that are given n."""
        scheduler.set_timesteps(STEPS)
        x = self.start * scheduler.sigmas[0].double()
        for i, timestep in enumerate(scheduler.timesteps):
            level = scheduler.sigmas[i].double()
            scheduler.scale_model_input(x, timestep)
            x = scheduler.step((x - self.denoised(x, level)) / level, timestep, x).prev_sample
        levels = scheduler.sigmas[:-1].double()
        return self.result(name, x, levels[::2] if isinstance(scheduler, HeunDiscreteScheduler) else levels)

    def edm(self, name: str, scheduler) -> dict[str, np.ndarray]:
        """Sample by schedulers of x that are given the outputs of EDM's network."""
        scheduler.set_timesteps(STEPS)
        x = self.start * scheduler.sigmas[0].double()
        for timestep, level in zip(scheduler.timesteps, scheduler.sigmas.double(), strict=False):
            scheduler.scale_model_input(x, timestep)
            total = level**2 + DEVIATION**2
            output = (self.denoised(x, level) - DEVIATION**2 / total * x) * total.sqrt() / (level * DEVIATION)
            x = scheduler.step(output, timestep, x).prev_sample
        return self.result(name, x, scheduler.sigmas[:-1])

    def churned(self, name: str, scheduler) -> dict[str, np.ndarray]:
        """Sample by EDM's own sampler of x, which is given minus the slope."""
        scheduler.set_timesteps(STEPS)
        levels = [*np.linspace(80.0 ** (1 / 7), 0.002 ** (1 / 7), STEPS) ** 7, 0.0]
        noises = iter(self.noise)
        scheduling_karras_ve.randn_tensor = lambda *arguments, **keywords: next(noises)
        x = self.start * levels[0]
        for level, below in itertools.pairwise(levels):
            lifted, lifted_level = scheduler.add_noise_to_input(x, level)
            slope = (self.denoised(lifted, lifted_level) - lifted) / lifted_level
            step = scheduler.step(slope, lifted_level, below, lifted)
            x = step.prev_sample
            if below:
                slope = (self.denoised(x, below) - x) / below
                x = scheduler.step_correct(slope, lifted_level, below, lifted, x, step.derivative).prev_sample
        return self.result(name, x, torch.tensor(levels[:-1]))

    def flow(self, name: str, scheduler) -> dict[str, np.ndarray]:
        """Sample by schedulers of (1 - t) y + t n that are given n - y."""
        scheduler.set_timesteps(sigmas=np.linspace(0.98, 0.05, STEPS))
        times = scheduler.sigmas[:-1].double()
        x = self.start * times[0]
        for timestep, t in zip(scheduler.timesteps, times, strict=True):
            y = self.denoised(x / (1 - t), t / (1 - t))
            x = scheduler.step((x - y) / t, timestep, x).prev_sample
        return self.result(name, x, times / (1 - times))

    def result(self, name: str, x: torch.Tensor, levels: torch.Tensor) -> dict[str, np.ndarray]:
        return {name: x.double().numpy(), f"{name}/levels": np.append(levels.double().numpy(), 0.0)}


if __name__ == "__main__":
    main()
