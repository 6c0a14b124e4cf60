"""The month through every interface: PettingZoo (parallel, agent by agent), Gymnasium (one controller, many months).

python examples/environments.py
"""

import gymnasium
import numpy as np

import vpp_env


def each_home_is_an_agent() -> float:
    """PettingZoo, parallel: a dict of actions in, a dict of observations and rewards out."""
    month = vpp_env.parallel_env(scenario="quick")
    month.reset(seed=0)
    total = 0.0
    while month.agents:
        actions = {agent: month.action_space(agent).sample() for agent in month.agents}
        _, rewards, _, _, _ = month.step(actions)
        total += sum(rewards.values())
    return total


def one_home_after_another() -> int:
    """PettingZoo, agent by agent; returns the number of turns."""
    month = vpp_env.env(scenario="quick")  # or pettingzoo.make("aec", "vpp/market_month_v0", scenario="quick")
    month.reset(seed=0)
    turns = 0
    for agent in month.agent_iter():
        _, _, terminated, truncated, _ = month.last()
        month.step(None if terminated or truncated else month.action_space(agent).sample())
        turns += 1
    return turns


def one_controller() -> float:
    """Gymnasium: row i of the observation and of the action is home i."""
    month = gymnasium.make("vpp/MarketMonth-v0", scenario="quick")
    month.reset(seed=0)
    month.action_space.seed(0)
    total, over = 0.0, False
    while not over:
        _, reward, _, over, _ = month.step(month.action_space.sample())
        total += float(reward)
    return total


def many_months() -> float:
    """Gymnasium's vector interface: E months of N homes on one matrix, the layout for training."""
    months = vpp_env.VectorMarketMonth(4, "quick")
    observations, _ = months.reset(seed=0)
    total = np.zeros(4)
    over = np.zeros(4, dtype=bool)
    while not over.any():
        idle = np.full((*observations.shape[:2], vpp_env.N_ACTION), -1.0, dtype=np.float32)
        observations, rewards, _, over, _ = months.step(idle)
        total += rewards
    return float(total.mean())


def the_world_itself() -> float:
    """No interface: the world that all of them drive, with the view that a policy gets."""
    world = vpp_env.World([vpp_env.Month(vpp_env.load_scenario("quick"), seed=0)])
    world.reset()
    rules, profit = vpp_env.market_rules(world), 0.0
    while not world.done:
        homes = vpp_env.build_view(world, vpp_env.Information.OWN).homes
        actions = vpp_env.encode(
            rules.sell_limit_kw, rules.buy_limit_kw, sell1_kw=homes.defer_kw, sell1_ask=homes.defer_ask
        )
        profit += float(world.step(actions).money.profit[0])
    return profit


def main() -> None:
    """Play them all."""
    print(f"parallel    {each_home_is_an_agent():8.2f} USD, random bids")
    print(f"aec         {one_home_after_another():8d} turns")
    print(f"gymnasium   {one_controller():8.2f} USD, random bids")
    print(f"vector      {many_months():8.2f} USD a month, no bids")
    print(f"world       {the_world_itself():8.2f} USD of the VPP's profit, deferred charging only")


if __name__ == "__main__":
    main()
