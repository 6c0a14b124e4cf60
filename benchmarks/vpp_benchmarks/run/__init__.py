"""From what is asked for to runs that are over: plan, jobs, executors, resume."""
