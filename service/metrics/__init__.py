"""What Prometheus is told: counted in Redis, so that a process that dies takes nothing along."""
