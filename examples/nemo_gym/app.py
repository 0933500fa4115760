"""NeMo Gym starts this file. Copy the folder to resources_servers/gramr2_judge of a checkout of NeMo Gym."""

from gramr2.integrations.nemo_gym import JudgeServer

if __name__ == "__main__":
    JudgeServer.run_webserver()
