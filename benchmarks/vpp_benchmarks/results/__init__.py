"""What runs came to: run folders, summaries, statistics, leaderboard."""
