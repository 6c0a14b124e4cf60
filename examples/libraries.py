"""Learning libraries on the faces of the environment, a short run of each: `python examples/libraries.py skrl`.

Which version was tried with what result is in docs/learners.md. Each function imports its own library and returns what
its run showed.
"""

import os
import sys
from tempfile import TemporaryDirectory

import gymnasium
import numpy as np

import vpp_env

WORLD = vpp_env.load_scenario("quick")
SIZE = WORLD.fleet.size


def flat_central() -> gymnasium.Env:
    """The central face with flat vectors, for libraries that take no matrices."""
    env = gymnasium.wrappers.FlattenObservation(gymnasium.make("vpp/MarketMonth-v0", scenario=WORLD))
    box = gymnasium.spaces.Box(-1.0, 1.0, (SIZE * vpp_env.N_ACTION,), np.float32)
    return gymnasium.wrappers.TransformAction(env, lambda a: np.reshape(a, (SIZE, vpp_env.N_ACTION)), box)


def skrl() -> float:
    """PPO on the central face; returns how far the mean action moved."""
    from skrl.agents.torch.ppo import PPO, PPO_CFG
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.trainers.torch import SequentialTrainer
    from skrl.utils.model_instantiators.torch import deterministic_model, gaussian_model

    env = wrap_env(flat_central(), wrapper="gymnasium", verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
    network = [{"name": "net", "input": "OBSERVATIONS", "layers": [32], "activations": "tanh"}]
    models = {
        "policy": gaussian_model(**spaces, network=network, output="ACTIONS", clip_actions=True),
        "value": deterministic_model(**spaces, network=network, output="ONE"),
    }
    models["policy"].act({"observations": env.reset()[0]}, role="policy")  # its layers are made at the first call
    before = [p.detach().clone() for p in models["policy"].parameters()]
    cfg = PPO_CFG(rollouts=6, learning_epochs=2, mini_batches=2)
    cfg.experiment.write_interval = cfg.experiment.checkpoint_interval = 0
    agent = PPO(models=models, memory=RandomMemory(memory_size=6, num_envs=1, device=env.device), cfg=cfg, **spaces)
    trainer = SequentialTrainer(env=env, agents=agent, cfg={"timesteps": 12, "disable_progressbar": True})
    trainer.train()
    after = models["policy"].parameters()
    return sum(float((a.detach() - b).abs().sum()) for a, b in zip(after, before, strict=True))


def minari() -> int:
    """A data set of two months of random bids, written and read back; returns how many there are."""
    import minari as library

    with TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder

        env = library.DataCollector(flat_central())
        for seed in (10_000, 10_001):
            env.reset(seed=seed)
            over = False
            while not over:
                *_, over, _ = env.step(env.action_space.sample())
        env.create_dataset("vpp/random-v0")
        data = library.load_dataset("vpp/random-v0")
        return int(data.total_episodes)


def rllib() -> int:
    """PPO with one policy for all homes, by PettingZoo's parallel face; returns the steps that it learned from."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    from ray.tune.registry import register_env

    register_env("vpp", lambda _: ParallelPettingZooEnv(vpp_env.parallel_env(scenario=WORLD)))
    config = PPOConfig().environment("vpp").env_runners(num_env_runners=0).learners(num_learners=0)
    config = config.multi_agent(policies={"home"}, policy_mapping_fn=lambda *_, **__: "home")
    algo = config.training(train_batch_size_per_learner=12, minibatch_size=6, num_epochs=1).build_algo()
    found = algo.train()
    algo.stop()
    return int(found["num_env_steps_sampled_lifetime"])


def agilerl() -> int:
    """IPPO by PettingZoo's parallel face; returns the steps of a training run."""
    from agilerl.algorithms import IPPO
    from agilerl.training.train_multi_agent_on_policy import train_multi_agent_on_policy
    from agilerl.vector.pz_async_vec_env import AsyncPettingZooVecEnv

    env = AsyncPettingZooVecEnv([lambda: vpp_env.parallel_env(scenario=WORLD)])
    homes = env.possible_agents
    sees, bids = ([space(home) for home in homes] for space in (env.single_observation_space, env.single_action_space))
    pop = [IPPO(sees, bids, agent_ids=homes, batch_size=6, learn_step=6)]
    trained, _ = train_multi_agent_on_policy(env, "vpp", "IPPO", pop, max_steps=24, evo_steps=12, verbose=False)
    env.close()
    return int(trained[0].steps)


def main() -> None:
    """Run the libraries that are named."""
    known = {run.__name__: run for run in (skrl, minari, rllib, agilerl)}
    for name in sys.argv[1:]:
        print(name, known[name]())


if __name__ == "__main__":
    main()
