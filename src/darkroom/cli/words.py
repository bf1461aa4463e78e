"""Turns what errors and answers say to programs into commands of the terminal."""

import re

_SAID = (
    (r"check_job without job_id lists your newest jobs and runs", "darkroom agent list shows your newest runs"),
    (r"check_job without job_id lists your newest jobs", "darkroom jobs lists your newest jobs"),
    (r"check_job lists jobs with their outputs", "darkroom jobs lists jobs, darkroom check JOB their outputs"),
    (r"Leave session_id out to begin one; darkroom://sessions lists yours", "darkroom session list shows yours"),
    (r"run_agent with its session_id goes on from it", "darkroom agent run --session goes on from its session"),
    (r"run_agent\(run_id='(\w+)', answer=\.\.\.\)", r"darkroom agent answer \1 ANSWER"),
    (r"run_agent\(task='([^']*)', session_id='(\w+)'\)", r"darkroom agent run --session \2 '\1'"),
    (r"Call again without dry_run to start it", "Leave --dry-run out to start it"),
    (r"run_agent\(session_id='(\w+)', task=\.\.\.\)", r"darkroom agent run --session \1 TASK"),
    (r"run_agent\(task=\.\.\., agent='\?'\)", "darkroom agents TASK"),
    (r"darkroom://agents lists", "darkroom agents lists"),
    (r"\b(?:repeat the call|call) with max_cost=([\d.]*\d)", r"repeat the command with --max-cost \1"),
    (r"\bmax_cost in a new call\b", "--max-cost in a new command"),
    (r"\bmax_cost=([\d.]*\d)", r"--max-cost \1"),
    (r"\bmax_cost\b", "--max-cost"),
    (r"\bprovider='(\w+)'", r"--provider \1"),
    (r"\boptions=\{'(\w+)': (\w+)\}", r"--option \1=\2"),
    (r"\bcontext=\{'(\w+)': \.\.\.\}", r"--context \1=..."),
    (r"\bGive in context what\b", "Give with --context what"),
    (r"\bin the task or in context\b", "in the task or with --context"),
    (r"check_job\(job_id='(\w+)', wait=\d+\)", r"darkroom check \1 --wait 600"),
    (r"check_job\('(\w+)'\)", r"darkroom check \1"),
    (r"cancel_job\('(\w+)'\)", r"darkroom cancel \1"),
    (r"\bcheck_job\b", "darkroom check"),
    (r"\bcancel_job\b", "darkroom cancel"),
    (r"(?<=\. )retry_job\b|^retry_job\b", "The same command with --again"),
    (r"\bretry_job\b", "the same command with --again"),
    (r"\brun_agent\b(?!\()", "darkroom agent run"),
)
"""What is said of tools, and the command that does the same; the first that fits comes first."""


def as_commands(text: str) -> str:
    """Return a text with commands in place of the calls of tools that it names."""
    for said, command in _SAID:
        text = re.sub(said, command, text)
    return text
