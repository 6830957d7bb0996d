package org.tensorflow.lite;

/** How many steps an interpreter takes, which TensorFlow Lite tells only within its package. */
public final class ExecutionPlan {
    private ExecutionPlan() {}

    /** 1 where one delegate runs all of the model. */
    public static int length(Interpreter interpreter) {
        return interpreter.getExecutionPlanLength();
    }
}
