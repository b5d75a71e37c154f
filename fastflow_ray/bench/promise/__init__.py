"""Whether a promised fidelity is kept, and what it takes beside fixed schedules that would keep it too."""
