"""The tools, in the order in which clients see them."""

from darkroom.server.context import Tool
from darkroom.server.tools import (
    cancel_job,
    check_job,
    estimate_credits,
    generate_image,
    generate_video,
    invoke_skill,
    retry_job,
    run_agent,
)

TOOLS: tuple[Tool, ...] = (
    generate_image.TOOL,
    generate_video.TOOL,
    check_job.TOOL,
    cancel_job.TOOL,
    retry_job.TOOL,
    estimate_credits.TOOL,
    run_agent.TOOL,
    invoke_skill.TOOL,
)
