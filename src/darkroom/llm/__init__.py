"""The agent loop: who thinks, with which tools, and how nothing of it is lost."""
