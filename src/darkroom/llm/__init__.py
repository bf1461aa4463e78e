"""Language models at work: the loop of agents, and the brief for whoever thinks instead."""
