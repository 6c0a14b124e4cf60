"""BenchMARL trains MAPPO on the TorchRL face: `python examples/benchmarl_mappo.py`; needs `pip install benchmarl`.

Which version was tried with what result is in docs/learners.md.
"""

# ruff: noqa: D102 - the methods are those that BenchMARL asks every task for
from collections.abc import Callable
from tempfile import TemporaryDirectory

from benchmarl.algorithms import MappoConfig
from benchmarl.environments.common import TaskClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig
from torchrl.data import Composite

import vpp_env
from vpp_env.api.torchrl import TorchMarketMonth

WORLD = vpp_env.load_scenario("quick")


class MarketMonth(TaskClass):
    """A month as a task; it is pickled, so that it stands in a module."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: object
    ) -> Callable[[], TorchMarketMonth]:
        return lambda: TorchMarketMonth(num_envs, WORLD)

    def supports_continuous_actions(self) -> bool:
        return True

    def supports_discrete_actions(self) -> bool:
        return False

    def max_steps(self, env: TorchMarketMonth) -> int:
        return WORLD.n_opportunities

    def has_render(self, env: TorchMarketMonth) -> bool:
        return False

    def group_map(self, env: TorchMarketMonth) -> dict[str, list[str]]:
        return {"agents": [f"prosumer_{i}" for i in range(WORLD.fleet.size)]}

    def observation_spec(self, env: TorchMarketMonth) -> Composite:
        spec = env.full_observation_spec_unbatched.clone()
        del spec["welfare"]
        return spec

    def action_spec(self, env: TorchMarketMonth) -> Composite:
        return env.full_action_spec_unbatched

    def info_spec(self, env: TorchMarketMonth) -> None:
        return None

    def state_spec(self, env: TorchMarketMonth) -> None:
        return None

    def action_mask_spec(self, env: TorchMarketMonth) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "vpp"


def train() -> int:
    """Return the frames that it learned from."""
    with TemporaryDirectory() as folder:
        config = ExperimentConfig.get_from_yaml()
        config.save_folder, config.loggers, config.evaluation, config.create_json = folder, [], False, False
        config.sampling_device = config.train_device = "cpu"
        config.on_policy_n_envs_per_worker, config.on_policy_collected_frames_per_batch = 4, 24
        config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters, config.max_n_frames = 12, 1, 48
        experiment = Experiment(
            task=MarketMonth("month", {}),
            algorithm_config=MappoConfig.get_from_yaml(),
            model_config=MlpConfig.get_from_yaml(),
            critic_model_config=MlpConfig.get_from_yaml(),
            seed=0,
            config=config,
        )
        experiment.run()
        return int(experiment.total_frames)


if __name__ == "__main__":
    print(train())
